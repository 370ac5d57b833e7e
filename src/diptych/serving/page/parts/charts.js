// Charts by Bokeh, whose scripts the server takes from its package; they are loaded when the first chart is drawn.

const SCRIPTS = ["page/bokeh.min.js", "page/bokeh-api.min.js"]; // in this order
export const COLOURS = ["#0b6e78", "#e08a3c", "#7a5aa6", "#3f8f4f", "#c2455e", "#4a7bd0", "#a8872c", "#8c5a3c", "#5d9c9c", "#b35aa0"];
export const OTHERS = "#8a9099";
let loading;

/** Bokeh's classes and functions, once they are there. */
export function bokeh() {
  loading ??= SCRIPTS.reduce((before, src) => before.then(() => load(src)), Promise.resolve()).then(() => window.Bokeh);
  return loading;
}

/** A figure in the page's colours, light or dark. */
export async function figure(options) {
  const { Plotting } = await bokeh();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const [text, lines] = dark ? ["#e8eaed", "#444a52"] : ["#1c2024", "#d5d9de"];
  const made = Plotting.figure({ background_fill_color: null, border_fill_color: null, outline_line_color: null, ...options });
  for (const axis of [made.xaxis, made.yaxis]) Object.assign(axis, { axis_label_text_color: text, major_label_text_color: text, axis_line_color: lines });
  for (const grid of [made.xgrid, made.ygrid]) grid.grid_line_color = lines;
  made.toolbar.logo = null;
  return made;
}

/** Show a figure in an element, in the place of an earlier one. */
export async function show(made, place) {
  const { Plotting } = await bokeh();
  place.replaceChildren();
  return Plotting.show(made, place);
}

/** The colour of a group by its number; there are no more colours than a person can tell apart. */
export function colourOf(number) {
  return number < COLOURS.length ? COLOURS[number] : OTHERS;
}

function load(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src, onload: resolve, onerror: () => reject(new Error(`${src} could not be loaded.`)) });
    document.head.append(script);
  });
}
