// A map of pictures as points: zoom, lasso, click, and a list of what the colours mean.

import { OTHERS, bokeh, colourOf, COLOURS, figure, show } from "./charts.js";
import { element } from "./elements.js";

const POINT = 7; // px; smaller where there are many
const MANY = 20_000;
const WHILE_MOVING = 1_500; // points that are drawn as long as the map is moved

/** Draw points in the colours of their groups; `choose` is told the rows that a person lassoes or clicks. */
export async function scatter(place, { x, y, groups, others, choose }) {
  const { ColumnDataSource } = await bokeh();
  const colours = groupColours(groups, others);
  const shown = groups.map(group => (colours.has(group) ? group : others));
  const source = new ColumnDataSource({ data: { x, y, colour: shown.map(group => colours.get(group)) } });
  const made = await figure({
    tools: "pan,wheel_zoom,lasso_select,tap,reset", active_scroll: "wheel_zoom", active_drag: "lasso_select",
    match_aspect: true, sizing_mode: "stretch_both", lod_threshold: WHILE_MOVING,
    lod_factor: Math.max(2, Math.ceil(x.length / WHILE_MOVING)),
  });
  for (const part of [made.xaxis, made.yaxis, made.xgrid, made.ygrid]) part.visible = false;
  const size = x.length > MANY ? POINT / 2 : POINT;
  made.scatter({ x: { field: "x" }, y: { field: "y" }, source, size, color: { field: "colour" }, line_color: null, alpha: 0.75 });
  source.selected.properties.indices.change.connect(() => choose([...source.selected.indices]));
  const canvas = element("div", { className: "canvas" });
  place.replaceChildren(legend(colours), canvas);
  await show(made, canvas);
}

/** A colour for each group, in order; where there are too many, those with fewest pictures share one. */
function groupColours(groups, others) {
  const counts = new Map();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  const ordered = [...counts].sort((a, b) => b[1] - a[1]).map(([group]) => group);
  const kept = ordered.length > COLOURS.length ? ordered.slice(0, COLOURS.length) : ordered;
  kept.sort(new Intl.Collator(undefined, { numeric: true }).compare);
  const colours = new Map(kept.map((group, i) => [group, colourOf(i)]));
  return kept.length < ordered.length ? colours.set(others, OTHERS) : colours;
}

function legend(colours) {
  const entries = [...colours].map(([group, colour]) => element("li", {}, dot(colour), group));
  return element("ul", { className: "legend" }, entries);
}

function dot(colour) {
  const made = element("span", { className: "dot", "aria-hidden": "true" });
  made.style.background = colour;
  return made;
}
