// The list of links: changing one opens the dialog that made it.

import { toast } from "./dom.js";
import { refresh } from "./navigate.js";
import { openShare } from "./share.js";
import { ask } from "./share_parts.js";

export function start() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-share-edit]");
    if (!button) return;
    try {
      const share = await ask("GET", `/api/v1/shares/${button.dataset.shareEdit}/`);
      openShare({ share, changed: () => changed(button.id) });
    } catch (error) {
      toast(error.message);
    }
  });
}

async function changed(opener) {
  await refresh();
  document.getElementById(opener)?.focus();
  toast("The link was changed.");
}
