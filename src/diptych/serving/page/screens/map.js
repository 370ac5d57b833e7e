// Map: all pictures of a data set or a gallery as points, alike ones near each other; zoom, lasso, click to see.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { words } from "../parts/language.js";
import { ask, fileAddress, modelsOf, path, thumbnailAddress } from "../parts/server.js";

const SHOWN = 48; // pictures of a selection
const WORDS = {
  none: ["There is no data set and no gallery to show.", "没有可显示的数据集或图库。"],
  what: ["Pictures of", "图片来自"],
  gallery: [name => `the gallery ${name}`, name => `图库 ${name}`],
  by: ["Alike by", "相似度依据"],
  builtin: ["the built-in backbone", "内置骨干网络"],
  colour: ["Colours", "颜色"],
  label: ["class", "类别"],
  origin: ["real or generated", "真实或生成"],
  compute: ["Compute the map", "计算地图"],
  computing: ["Computing … this goes on when the page is closed.", "正在计算……关闭页面后仍会继续。"],
  unmapped: ["It has no map yet.", "还没有地图。"],
  hint: ["Drag around points to see them; scroll to zoom; click one to see it.", "圈选若干点可查看；滚动缩放；点击单点查看。"],
  chosen: [n => `${n} pictures chosen`, n => `选中 ${n} 张图片`],
  map: ["The map", "地图"],
};

/** The screen. */
export async function open(_, signal) {
  const say = words(WORDS);
  const [{ datasets }, galleries, recognizers] = await Promise.all([
    ask("datasets"), modelsOf("gallery"), modelsOf("recognizer")]);
  if (!datasets.length && !galleries.length) return [element("p", {}, say.none)];
  const what = choice([...datasets.map(set => [`data/${set.name}`, set.name]),
    ...galleries.map(one => [`model/${one.name}`, say.gallery(one.name)])]);
  const by = choice([["", say.builtin], ...recognizers.map(model => model.name)]);
  const colour = choice([["label", say.label], ["origin", say.origin]]);
  const status = statusLine();
  const plot = element("iframe", { className: "map", title: say.map, hidden: true, src: "page/plot.html" });
  const chosen = element("div");
  const loaded = new Promise(resolve => plot.addEventListener("load", resolve, { once: true }));

  const source = () => {
    const [kind, name] = [what.value.slice(0, what.value.indexOf("/")), what.value.slice(what.value.indexOf("/") + 1)];
    const model = kind === "data" && by.value ? { model: by.value } : {};
    return kind === "data" ? { name, place: path`datasets/${name}/map`, options: { data: name, ...model }, query: model, kind }
      : { name, place: path`models/${name}/map`, options: { model: name }, query: {}, kind };
  };

  async function show() {
    const { name, place, query, kind } = source();
    by.disabled = kind === "model";
    chosen.replaceChildren();
    let map;
    try {
      map = await ask(`${place}?${new URLSearchParams(query)}`);
    } catch (error) {
      plot.hidden = true;
      return status.say(error.code === "not_found" ? say.unmapped : error.message);
    }
    status.say(say.hint);
    plot.hidden = false;
    await loaded;
    await plot.contentWindow.draw(map, colour.value, rows => showRows(name, kind, map, rows));
  }

  async function showRows(name, kind, map, rows) {
    const thumbnails = await Promise.all(rows.slice(0, SHOWN).map(async row => {
      const address = kind === "model" ? fileAddress(path`models/${name}/thumbnails/${map.id[row]}`)
        : thumbnailAddress(name, map.path[row]);
      return element("figure", {}, element("img", { src: await address, alt: map.path[row] }),
        element("figcaption", {}, map.label[row]));
    }));
    chosen.replaceChildren(element("p", { role: "status" }, say.chosen(rows.length)), element("div", { className: "grid" }, thumbnails));
  }

  const compute = action(say.compute, async () => {
    status.say(say.computing);
    const job = await startJob("map", source().options);
    await followJob(job.id, { log: line => status.say(line) }, signal);
    await show();
  }, status.fail, { className: "main" });
  for (const control of [what, by, colour]) control.addEventListener("change", show);
  setTimeout(show); // the frame loads once it is on the page
  const first = source();
  return [
    element("div", { className: "row" }, field(say.what, what), field(say.by, by), field(say.colour, colour), compute),
    status.line, plot, chosen,
    sameBy({
      command: `diptych embed lite0 data/${quoted(first.name)} -o embeddings.parquet`,
      python: `import diptych\n\nimages = diptych.Images.open(${JSON.stringify(`data/${first.name}`)})`,
      curl: curl(first.place),
    }),
  ];
}
