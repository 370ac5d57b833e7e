// Data: what inspect found in a set of pictures, decided one picture after the other; then trained again.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { curves } from "../parts/curves.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { percent, words } from "../parts/language.js";
import { download, dropPlace } from "../parts/pictures.js";
import { ask, modelsOf, path, pictureType, request, thumbnailAddress } from "../parts/server.js";
import { freeName, takenNames } from "../parts/uploads.js";

const PAGE = 60; // pictures shown at once
const MINUTES = 2; // of training again
const WORDS = {
  none: ["There are no data sets yet.", "还没有数据集。"],
  teach: ["Teach makes one", "在“教”页面创建"],
  dataset: ["Data set", "数据集"],
  all: [(n) => `all (${n})`, (n) => `全部（${n}）`],
  class: ["Class", "类别"],
  add: [label => `Add pictures to ${label}`, label => `向 ${label} 添加图片`],
  manifest: ["Save the list of pictures (CSV)", "保存图片清单 (CSV)"],
  inspect: ["Look for what is wrong", "查找问题"],
  inspecting: ["Looking at all pictures …", "正在检查全部图片……"],
  label: [(given, suggested) => `It is labelled ${given} and looks like ${suggested}.`, (given, suggested) => `标签是 ${given}，看起来像 ${suggested}。`],
  kinds: [{}, { "label error": "标签错误", outlier: "与众不同", "same scene": "同一场景", "exact copy": "完全相同的副本", "near-duplicate": "近似重复",
    "mirrored copy": "镜像副本", "copies with different labels": "副本的标签不同", unreadable: "无法读取", tiny: "太小", "odd size": "尺寸异常",
    "odd shape": "形状异常", greyscale: "灰度", dark: "太暗", bright: "太亮", blurred: "模糊", "low information": "几乎没有内容", blank: "单一颜色" }],
  fine: ["Nothing was found that needs a decision.", "没有需要处理的问题。"],
  left: [n => `${n} pictures to decide on`, n => `还有 ${n} 张待处理`],
  keep: ["Keep (K)", "保留 (K)"],
  relabel: [label => `Relabel: ${label} (R)`, label => `改为 ${label} (R)`],
  drop: ["Discard (D)", "移除 (D)"],
  undo: ["Undo (U)", "撤销 (U)"],
  to: ["Right label", "正确标签"],
  done: ["All are decided.", "全部处理完毕。"],
  again: ["Train again", "重新训练"],
  train: ["Train on the set as it is now", "用当前数据集重新训练"],
  before: ["Before", "之前"],
  after: ["After", "之后"],
  minutes: ["Minutes", "分钟"],
  compared: ["Compared with the recognizer", "与此识别模型比较"],
  training: ["Training …", "正在训练……"],
  right: [s => `${percent(s.value)} of ${s.n} pictures kept back from training right (${percent(s.low)} to ${percent(s.high)})`,
    s => `${s.n} 张未参与训练的图片中 ${percent(s.value)} 正确（${percent(s.low)} 到 ${percent(s.high)}）`],
  readOnly: ["This folder is there to read: decisions cannot be made here.", "此文件夹只读，无法在此处理。"],
  more: ["More", "更多"],
};

/** The screen; `name` is the data set that is shown first. */
export async function open(name, signal) {
  const say = words(WORDS);
  const { datasets } = await ask("datasets");
  if (!datasets.length) return [element("p", {}, say.none, " ", element("a", { href: "#/teach" }, say.teach))];
  const select = choice(datasets.map(set => set.name));
  if (datasets.some(set => set.name === name)) select.value = name;
  const content = element("div");
  const show = async () => content.replaceChildren(...(await dataset(say, await ask(path`datasets/${select.value}`), signal)));
  select.addEventListener("change", show);
  await show();
  return [field(say.dataset, select), content];
}

async function dataset(say, set, signal) {
  const status = statusLine();
  const review = element("section");
  const label = choice([["", say.all(set.pictures)], ...Object.entries(set.classes).map(([one, n]) => [one, `${one} (${n})`])]);
  const grid = element("div", { className: "pictures" });
  const more = element("button", { type: "button" }, say.more);
  const drop = element("div");
  let offset = 0;

  async function showMore() {
    const query = new URLSearchParams({ offset, limit: PAGE, ...(label.value && { label: label.value }) });
    const { pictures } = await ask(`${path`datasets/${set.name}/pictures`}?${query}`);
    offset += pictures.length;
    more.hidden = pictures.length < PAGE;
    grid.append(...pictures.map(one => thumbnail(set.name, one.path)));
  }

  function showClass() {
    offset = 0;
    grid.replaceChildren();
    drop.replaceChildren(...(label.value && set.writable ? [dropPlace(say.add(label.value), add)] : []));
    return showMore();
  }

  async function add(files) {
    for (const file of files) {
      try {
        await request(path`datasets/${set.name}/pictures/${label.value}/${file.name}`,
          { method: "PUT", body: file, type: pictureType(file) });
      } catch (error) {
        status.fail(`${file.name}: ${error.message}`);
      }
    }
    await showClass();
  }

  label.addEventListener("change", showClass);
  more.addEventListener("click", showMore);
  await showClass();
  return [
    set.writable ? null : element("p", { className: "soft" }, say.readOnly),
    element("div", { className: "row" },
      action(say.inspect, () => inspect(say, set, review, status, signal), status.fail, { className: "main" }),
      action(say.manifest, async () => download(await (await request(path`datasets/${set.name}/manifest`)).blob(), "manifest.csv"),
        status.fail)),
    status.line, review, element("div", { className: "row" }, field(say.class, label)), drop, grid, more,
    await again(say, set, signal),
    sameBy({
      command: `diptych inspect data/${quoted(set.name)} --manifest manifest.csv`,
      python: `import diptych\n\nprint(diptych.Images.of(${JSON.stringify(`data/${set.name}`)}).inspect())`,
      curl: curl("jobs", "-H", "'Content-Type: application/json'", "-d",
        quoted(JSON.stringify({ verb: "inspect", options: { data: set.name } }))),
    }),
  ].filter(Boolean);
}

/** A picture that appears when it has come; its name stands there until then, and where it cannot be shown. */
function thumbnail(name, picture, side = 96) {
  const shown = element("img", { alt: picture, title: picture });
  thumbnailAddress(name, picture, side).then(address => (shown.src = address), () => {});
  return shown;
}

/** Run inspect, and go through what it found. */
async function inspect(say, set, place, status, signal) {
  status.say(say.inspecting);
  const job = await startJob("inspect", { data: set.name });
  const { result } = await followJob(job.id, status, signal);
  status.say("");
  const issues = issuesOf(result, set);
  place.replaceChildren(issues.length ? review(say, set, issues, status, signal) : element("p", {}, say.fine));
}

/** The issues that ask for a decision, with their pictures' paths in the set. */
function issuesOf(result, set) {
  const record = Array.isArray(result) ? result[0] : result;
  const inSet = one => one.slice(one.indexOf(`${set.name}/`) + set.name.length + 1);
  return (record?.issues ?? []).map(issue => ({ ...issue, path: inSet(issue.path) }));
}

/** Why a picture is shown, in the language in use where the server says it in fields. */
function reasonOf(say, issue) {
  if (issue.kind === "label error" && issue.suggested) return say.label(issue.path.split("/").at(-2), issue.suggested);
  return say.kinds[issue.kind] ?? `${issue.kind}: ${issue.reason}`;
}

/** One picture at a time, with a key for each decision. */
function review(say, set, issues, status, signal) {
  const place = element("div", { className: "card" });
  const decided = [];
  const label = choice(Object.keys(set.classes));
  let current = 0;

  async function show() {
    const issue = issues[current];
    if (!issue) return place.replaceChildren(element("p", {}, say.done), buttons(true));
    if (issue.suggested) label.value = issue.suggested;
    place.replaceChildren(
      element("p", { className: "soft", role: "status" }, say.left(issues.length - current)),
      element("div", { className: "pair" }, thumbnail(set.name, issue.path, 256),
        element("div", {}, element("p", { className: "answer" }, issue.path), element("p", {}, reasonOf(say, issue)),
          field(say.to, label), buttons(false))));
  }

  async function decide(change) {
    const issue = issues[current];
    if (!issue) return;
    const undoIt = await change(issue);
    decided.push({ at: current, path: issue.path, undoIt });
    do current += 1; while (decided.some(one => one.undoIt && one.path === issues[current]?.path)); // moved or gone: decided
    await show();
  }
  const keep = () => decide(async () => null);
  const relabel = () => decide(async issue => {
    const before = issue.path.split("/").at(-2);
    const { pictures } = await ask(path`datasets/${set.name}/relabel`, { json: { pictures: [issue.path], label: label.value } });
    return () => ask(path`datasets/${set.name}/relabel`, { json: { pictures, label: before } });
  });
  const drop = () => decide(async issue => {
    await ask(path`datasets/${set.name}/drop`, { json: { pictures: [issue.path] } });
    return () => ask(path`datasets/${set.name}/restore`, { json: { pictures: [issue.path] } });
  });
  async function undo() {
    if (!decided.length) return;
    await decided.at(-1).undoIt?.();
    current = decided.pop().at;
    await show();
  }

  const relabelButton = action("", relabel, status.fail);
  const showLabel = () => (relabelButton.textContent = say.relabel(label.value));
  label.addEventListener("change", showLabel);

  function buttons(over) {
    showLabel();
    const some = over ? [] : [
      action(say.keep, keep, status.fail),
      ...(set.writable ? [relabelButton, action(say.drop, drop, status.fail)] : [])];
    return element("div", { className: "row" }, some, action(say.undo, undo, status.fail, { disabled: !decided.length }));
  }
  const keys = { k: keep, ...(set.writable && { r: relabel, d: drop }), u: undo };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    keys[event.key.toLowerCase()]?.().catch(error => status.fail(error.message));
  }, { signal });
  show();
  return place;
}

/** Train on the set as it is now, and show both scores. */
async function again(say, set, signal) {
  const status = statusLine();
  const models = await modelsOf("recognizer");
  const place = element("div");
  const old = choice([["", "—"], ...models.map(model => model.name)]);
  if (models.some(model => model.name === set.name)) old.value = set.name; // Teach gives both one name
  const minutes = element("input", { type: "number", value: MINUTES, min: 0.1, max: 10_000, step: 0.1 });
  const train = action(say.train, async () => {
    const output = freeName(set.name, await takenNames());
    status.say(say.training);
    const job = await startJob("fit", { kind: "recognizer", data: set.name, output, minutes: Number(minutes.value) });
    const plot = curves();
    place.replaceChildren(plot.element);
    await followJob(job.id, status, signal, plot.add);
    status.say("");
    const rows = [[say.before, old.value], [say.after, output]].filter(([, model]) => model);
    const cells = await Promise.all(rows.map(async ([when, model]) => {
      const { scores } = await ask(path`models/${model}`);
      const link = element("a", { href: `#/reports/${encodeURIComponent(model)}` }, model);
      return element("tr", {}, element("th", { scope: "row" }, when), element("td", {}, link),
        element("td", {}, scores?.accuracy ? say.right(scores.accuracy) : ""));
    }));
    place.replaceChildren(element("table", {}, element("tbody", {}, cells)));
  }, status.fail);
  return element("section", {}, element("h2", {}, say.again), element("div", { className: "row" }, field(say.compared, old), field(say.minutes, minutes), train), status.line, place);
}
