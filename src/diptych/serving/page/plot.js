// Plots, in a document of their own: plotly compiles its shaders as it runs, which only this document may.

const COLOURS = ["#0b6e78", "#e08a3c", "#7a5aa6", "#3f8f4f", "#c2455e", "#4a7bd0", "#a8872c", "#8c5a3c", "#5d9c9c", "#b35aa0"];
const POINT = 7; // px; smaller where there are many
const MANY = 20_000;

/** Draw a map's points in the colours of a column; `choose` is told the rows that a person lassoes or clicks. */
window.draw = async (map, column, choose) => {
  const rows = Map.groupBy(map[column].keys(), row => map[column][row]);
  const traces = [...rows].map(([name, members], i) => ({
    type: "scattergl", mode: "markers", name: String(name ?? "—"),
    x: members.map(row => map.x[row]), y: members.map(row => map.y[row]),
    text: members.map(row => map.path[row]), customdata: members, hovertemplate: "%{text}",
    marker: { color: COLOURS[i % COLOURS.length], size: map.x.length > MANY ? POINT / 2 : POINT, opacity: 0.75 },
  }));
  const hidden = { visible: false };
  const layout = {
    dragmode: "lasso", hovermode: "closest", xaxis: hidden, yaxis: { ...hidden, scaleanchor: "x" },
    margin: { l: 0, r: 0, t: 0, b: 0 }, legend: { orientation: "h" }, ...look(),
  };
  const plot = document.getElementById("plot");
  await Plotly.react(plot, traces, layout, { scrollZoom: true, displaylogo: false, responsive: true });
  plot.removeAllListeners?.("plotly_selected");
  plot.removeAllListeners?.("plotly_click");
  for (const event of ["plotly_selected", "plotly_click"]) {
    plot.on(event, chosen => chosen && choose(chosen.points.map(point => point.customdata)));
  }
};

/** Draw each loss and score of these ticks of a training over the seconds. */
window.drawCurves = async ticks => {
  const named = ticks.map(tick => ({ ...tick.losses, ...tick.scores }));
  const names = [...new Set(named.flatMap(Object.keys))].filter(name => !/_(low|high)$/.test(name));
  const traces = names.map((name, i) => ({
    type: "scatter", mode: "lines+markers", name: name.replaceAll("_", " "), x: ticks.map(tick => tick.seconds),
    y: named.map(values => values[name] ?? null), line: { color: COLOURS[i % COLOURS.length] },
  }));
  const layout = { margin: { l: 45, r: 10, t: 10, b: 35 }, xaxis: { title: { text: "s" } }, legend: { orientation: "h" }, ...look() };
  await Plotly.react(document.getElementById("plot"), traces, layout, { displayModeBar: false, responsive: true });
};

/** Colours that suit the page, light or dark. */
function look() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return { paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: dark ? "#e8eaed" : "#1c2024" } };
}
