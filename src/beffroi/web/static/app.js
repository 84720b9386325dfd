// Everything here only makes the pages quicker to use: without it they read and work too.
import "./zone.js";
import "./live.js";
import "./times.js";
import "./dialogs.js";
import "./search.js";
import "./preview.js";
import "./lanes.js";
import "./calendar.js";
