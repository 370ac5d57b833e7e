// Map: pictures of data sets or of a gallery as points, alike ones near each other; zoom, lasso, click to see.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { words } from "../parts/language.js";
import { scatter } from "../parts/scatter.js";
import { ask, fileAddress, modelsOf, path, thumbnailAddress } from "../parts/server.js";

const SHOWN = 48; // pictures of a selection
const WORDS = {
  none: ["There is no data set and no gallery to show.", "没有可显示的数据集或图库。"],
  teach: ["Teach makes a data set", "在“教”页面创建数据集"],
  what: ["Pictures of", "图片来自"],
  gallery: [name => `the gallery ${name}`, name => `图库 ${name}`],
  beside: ["Beside them", "一同显示"],
  nothing: ["nothing else", "无"],
  by: ["Alike in the eyes of", "由谁判断相似"],
  builtin: ["what any picture shows (built in)", "一般图像内容（内置）"],
  colour: ["Colours", "颜色"],
  label: ["class", "类别"],
  origin: ["real or generated", "真实或生成"],
  data: ["data set", "数据集"],
  confusion: ["what is taken for what", "混淆情况"],
  real: ["real", "真实"],
  synthetic: ["generated", "生成"],
  composite: ["partly generated", "部分生成"],
  right: ["right", "正确"],
  taken: [(label, other) => `${label} taken for ${other}`, (label, other) => `${label} 被认成 ${other}`],
  unlabelled: ["no label", "无标签"],
  others: ["others", "其他"],
  compute: ["Compute the map", "计算地图"],
  computing: ["Computing … this goes on when the page is closed.", "正在计算……关闭页面后仍会继续。"],
  unmapped: ["It has no map yet: press “Compute the map”.", "还没有地图：请点击“计算地图”。"],
  byRecognizer: ["Choose a recognizer under “Alike in the eyes of” and compute the map to see what it takes for what.", "请在“由谁判断相似”中选择识别模型并计算地图，以查看混淆情况。"],
  hint: ["Drag around points to see them; scroll to zoom; click one to see it.", "圈选若干点可查看；滚动缩放；点击单点查看。"],
  chosen: [n => `${n} pictures chosen`, n => `选中 ${n} 张图片`],
  map: ["The map", "地图"],
};

/** The screen; `name` is the data set that is shown first. */
export async function open(name, signal) {
  const say = words(WORDS);
  const [{ datasets }, galleries, recognizers] = await Promise.all([
    ask("datasets"), modelsOf("gallery"), modelsOf("recognizer")]);
  if (!datasets.length && !galleries.length) return [element("p", {}, say.none, " ", element("a", { href: "#/teach" }, say.teach))];
  const what = choice([...datasets.map(set => [`data/${set.name}`, set.name]),
    ...galleries.map(one => [`model/${one.name}`, say.gallery(one.name)])]);
  if (datasets.some(set => set.name === name)) what.value = `data/${name}`;
  const beside = choice([["", say.nothing], ...datasets.map(set => set.name)]);
  const by = choice([["", say.builtin], ...recognizers.map(model => model.name)]);
  const colour = choice(["label", "origin", "data", "confusion"].map(one => [one, say[one]]));
  const status = statusLine();
  const plot = element("div", { className: "map", role: "group", "aria-label": say.map, hidden: true });
  const chosen = element("div");
  const same = element("div");

  function source() {
    const [kind, ...rest] = what.value.split("/");
    const first = rest.join("/");
    if (kind === "model") return { kind, name: first, place: path`models/${first}/map`, options: { model: first } };
    const sets = [first, beside.value].filter((set, i, all) => set && all.indexOf(set) === i);
    const model = by.value ? { model: by.value } : {};
    const query = new URLSearchParams([...sets.slice(1).map(set => ["beside", set]), ...Object.entries(model)]);
    return { kind, name: first, place: path`datasets/${first}/map` + (query.size ? `?${query}` : ""),
      options: { data: sets.length > 1 ? sets : first, ...model } };
  }

  async function show() {
    const { kind, name: shownName, place } = source();
    by.disabled = beside.disabled = kind === "model";
    chosen.replaceChildren();
    let isThere = true;
    try {
      const map = await ask(place, { signal });
      plot.hidden = false;
      await scatter(plot, { x: map.x, y: map.y, groups: groupsOf(say, map, colour.value), others: say.others,
        choose: rows => showRows(shownName, kind, map, rows) });
      status.say(colour.value === "confusion" && !map.predicted ? say.byRecognizer : say.hint);
    } catch (error) {
      isThere = false;
      plot.hidden = true;
      if (error.code === "not_found") status.say(say.unmapped);
      else status.fail(error.message);
    }
    same.replaceChildren(sameLines(source(), isThere));
  }

  async function showRows(gallery, kind, map, rows) {
    const thumbnails = await Promise.all(rows.slice(0, SHOWN).map(async row => {
      const address = kind === "model" ? fileAddress(path`models/${gallery}/thumbnails/${map.id[row]}`)
        : thumbnailAddress(map.data[row], map.path[row]);
      return element("figure", {}, element("img", { src: await address, alt: map.path[row] }),
        element("figcaption", {}, captionOf(say, map, row)));
    }));
    chosen.replaceChildren(element("p", { role: "status" }, say.chosen(rows.length)), element("div", { className: "grid" }, thumbnails));
  }

  const compute = action(say.compute, async () => {
    status.say(say.computing);
    const job = await startJob("map", source().options);
    await followJob(job.id, status, signal);
    await show();
  }, status.fail, { className: "main" });
  for (const control of [what, beside, by, colour]) control.addEventListener("change", show);
  show();
  return [
    element("div", { className: "row" }, field(say.what, what), field(say.beside, beside), field(say.by, by),
      field(say.colour, colour), compute),
    status.line, plot, chosen, same,
  ];
}

/** The group of each picture that its colour stands for. */
function groupsOf(say, map, column) {
  const labels = map.label ?? map.x.map(() => "");
  if (column === "origin") return map.origin.map(origin => say[origin]);
  if (column === "data" && map.data) return map.data;
  if (column === "confusion" && map.predicted) {
    return labels.map((label, row) => (map.predicted[row] === label ? say.right : say.taken(label || say.unlabelled, map.predicted[row])));
  }
  return labels.map(label => label || say.unlabelled);
}

function captionOf(say, map, row) {
  const label = map.label?.[row] || say.unlabelled;
  const other = map.predicted?.[row];
  const origin = map.origin[row] === "real" ? "" : ` · ${say[map.origin[row]]}`;
  return (other && other !== label ? say.taken(label, other) : label) + origin;
}

/** Its curl asks for the map where that is there, and for its computation before. */
function sameLines({ name, kind, place, options }, isThere) {
  const from = kind === "model" ? options.model : `data/${name}`;
  return sameBy({
    command: kind === "model" ? `diptych gallery export ${quoted(name)} -o vectors.parquet`
      : `diptych embed ${quoted(options.model ?? "lite0")} ${quoted(from)} -o embeddings.parquet`,
    python: kind === "model" ? `import diptych\n\ndiptych.load(${JSON.stringify(name)}).export("vectors.parquet")`
      : options.model ? `import diptych\n\nprint(diptych.load(${JSON.stringify(options.model)}).embed(${JSON.stringify(from)}))`
        : `import diptych\n\ngallery = diptych.Gallery("lite0", "things").enroll(${JSON.stringify(from)})`,
    curl: isThere ? curl(place) : curl("jobs", "-H", "'Content-Type: application/json'", "-d",
      quoted(JSON.stringify({ verb: "map", options }))),
  });
}
