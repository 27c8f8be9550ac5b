// Puts the modules together. Each works by itself on what it finds in the page.

import * as acts from "./acts.js";
import * as asset from "./asset.js";
import * as assetParts from "./asset_parts.js";
import * as collections from "./collections.js";
import * as collectionsUpload from "./collections_upload.js";
import * as drop from "./drop.js";
import * as facets from "./facets.js";
import * as grid from "./grid.js";
import * as keys from "./keys.js";
import * as lightbox from "./lightbox.js";
import * as lightboxZoom from "./lightbox_zoom.js";
import * as live from "./live.js";
import * as navigate from "./navigate.js";
import * as scrubber from "./scrubber.js";
import * as search from "./search.js";
import * as selection from "./selection.js";
import * as selectionActs from "./selection_acts.js";
import * as sharesPage from "./shares_page.js";
import * as tray from "./tray.js";
import * as tryIt from "./try.js";
import * as wallExample from "./wall_example.js";
import * as wallInfo from "./wall_info.js";
import * as wallSearches from "./wall_searches.js";
import * as wallView from "./wall_view.js";
import { showPlaceholders } from "./pictures.js";
import { $ } from "./dom.js";

navigate.start();
const searchChanged = search.start();
wallView.start();
grid.start();
selection.start();
selectionActs.start();
lightbox.start();
lightboxZoom.start();
wallInfo.start();
wallSearches.start();
wallExample.start();
facets.start();
scrubber.start();
asset.start();
acts.start();
assetParts.start();
collections.start();
tryIt.start();
live.start();
keys.start({ upload: (kind) => $(kind === "folder" ? "#upload-folder" : "#upload-files").click() });
drop.start({ take: tray.add, isElsewhere: (event) => tryIt.takesDrop(event) || wallExample.takesDrop(event) });
sharesPage.start();
tray.start();
collectionsUpload.start();

function open(main) {
  showPlaceholders(main);
  grid.open(main);
  selection.open();
  wallInfo.open();
  facets.open(main);
  scrubber.open(main);
  tryIt.open(main);
  collections.open(main);
  searchChanged();
}

navigate.onPage(open);
open($("#main"));
asset.open($("#main"));
acts.open($("#main"));
document.documentElement.dataset.ready = "yes";
