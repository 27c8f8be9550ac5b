// Puts the modules together. Each works by itself on what it finds in the page.

import * as asset from "./asset.js";
import * as drop from "./drop.js";
import * as grid from "./grid.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as navigate from "./navigate.js";
import * as search from "./search.js";
import * as tray from "./tray.js";
import * as tryIt from "./try.js";
import { showPlaceholders } from "./pictures.js";
import { $ } from "./dom.js";

navigate.start();
const searchChanged = search.start();
grid.start();
asset.start();
tryIt.start();
live.start();
keys.start({ upload: (kind) => $(kind === "folder" ? "#upload-folder" : "#upload-files").click() });
drop.start({ take: tray.add, isElsewhere: tryIt.takesDrop });
tray.start();

function open(main) {
  showPlaceholders(main);
  grid.open(main);
  tryIt.open(main);
  searchChanged();
}

navigate.onPage(open);
open($("#main"));
asset.open($("#main"));
document.documentElement.dataset.ready = "yes";
