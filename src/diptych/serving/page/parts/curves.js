// Losses and scores of a training as it goes: a line for each, over the seconds.

import { bokeh, colourOf, figure, show } from "./charts.js";
import { element } from "./elements.js";
import { words } from "./language.js";

const WORDS = { title: ["Losses and scores as the training goes on", "训练过程中的损失与得分"] };
const HEIGHT = 260; // px

/** A chart that appears with the first tick; `add` takes the ticks of a job. */
export function curves() {
  const place = element("div", { className: "curves", role: "img", "aria-label": words(WORDS).title, hidden: true });
  const ticks = [];
  let drawn = "";
  let source;
  return {
    element: place,
    async add(tick) {
      ticks.push(tick);
      place.hidden = false;
      const { names, data } = columns(ticks);
      if (drawn === names.join()) {
        (await source).data = data;
      } else {
        drawn = names.join();
        source = draw(names, data, place);
        await source;
      }
    },
  };
}

/** The names of what was measured, and its values at the seconds of each tick. */
function columns(ticks) {
  const measured = ticks.map(tick => ({ ...tick.losses, ...tick.scores }));
  const names = [...new Set(measured.flatMap(Object.keys))].filter(name => !/_(low|high)$/.test(name));
  const values = names.map(name => [name, measured.map(one => one[name] ?? NaN)]);
  return { names, data: { seconds: ticks.map(tick => tick.seconds), ...Object.fromEntries(values) } };
}

/** Draw the lines anew; the source of their values. */
async function draw(names, data, place) {
  const { ColumnDataSource } = await bokeh();
  const source = new ColumnDataSource({ data });
  const made = await figure({ height: HEIGHT, sizing_mode: "stretch_width", tools: "", toolbar_location: null, x_axis_label: "s" });
  names.forEach((name, i) => {
    const at = { x: { field: "seconds" }, y: { field: name }, source };
    made.line({ ...at, color: colourOf(i), line_width: 2, legend_label: name.replaceAll("_", " ") });
    made.scatter({ ...at, color: colourOf(i), size: 5 });
  });
  made.legend.background_fill_alpha = 0.5;
  await show(made, place);
  return source;
}
