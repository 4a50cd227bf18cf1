// What the page takes from others, and no more of it. `make site` bundles it.
export { h, render } from "preact";
export { useEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal } from "@preact/signals";
export { default as htm } from "htm";
export { default as uPlot } from "uplot";
export { quadtree } from "d3-quadtree";
export { scaleLinear, scaleLog } from "d3-scale";
export { select } from "d3-selection";
export { zoom, zoomIdentity } from "d3-zoom";
export { Graph, layout } from "@dagrejs/dagre";
export { diffLines } from "diff";
