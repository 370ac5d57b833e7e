// Teach: make classes, fill them, train; the recognizer answers at once and gets better in the background.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { curves } from "../parts/curves.js";
import { action, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob, unfinishedJobs } from "../parts/jobs.js";
import { percent, words } from "../parts/language.js";
import { download, dropPlace, shown } from "../parts/pictures.js";
import { ask, path, request } from "../parts/server.js";
import { freeName, takenNames, upload } from "../parts/uploads.js";
import { webcam } from "../parts/webcam.js";
import { liveRecognition, predicted, verdict } from "./recognise.js";

const FIRST_MINUTES = 0.2; // of training, until the first answer
const MORE_MINUTES = 3; // then, in the background
const SHOWN = 12; // thumbnails of a class
const RECORD_PAUSE = 200; // ms between two pictures of the webcam
const MIN_PICTURES = 2; // of each class
const WORDS = {
  name: ["Name of the recognizer", "识别模型的名称"],
  class: [n => `Class ${n}`, n => `类别 ${n}`],
  className: ["Name of the class", "类别名称"],
  add: ["Add a class", "添加类别"],
  drop: ["Choose pictures, or drop them or a folder here", "选择图片，或把图片、文件夹拖到这里"],
  count: [n => `${n} ${n === 1 ? "picture" : "pictures"}`, n => `${n} 张图片`],
  remove: [name => `Take out ${name}`, name => `移除 ${name}`],
  record: ["Hold to record", "按住录制"],
  train: ["Train", "训练"],
  needs: ["Two classes with two pictures each are needed, with different names.", "需要两个名称不同的类别，每类至少两张图片。"],
  training: ["Training: the first answer comes in about half a minute …", "正在训练：约半分钟后可首次回答……"],
  better: [`It answers now, see below. It gets better for up to ${MORE_MINUTES} minutes more; you need not wait …`,
    `现在已能回答，可在下方试用。最多再改进 ${MORE_MINUTES} 分钟，不必等待……`],
  done: ["It is ready.", "训练完成。"],
  goes: ["This recognizer is in training; the page may be closed.", "该模型正在训练；可以关闭此页面。"],
  score: [(s) => `${percent(s.value)} of ${s.n} pictures kept back from training are right (others like them: ${percent(s.low)} to ${percent(s.high)}).`,
    (s) => `${s.n} 张未参与训练的图片中 ${percent(s.value)} 正确（同类图片：${percent(s.low)} 到 ${percent(s.high)}）。`],
  try: ["Try it", "试一试"],
  tryDrop: ["Choose or drop a picture that it has not seen", "选择或拖入一张它没见过的图片"],
  keep: ["Keep", "保存"],
  kept: [name => `The folder ${name} on the server holds it; every screen here, the command line and Python open it.`,
    name => `它保存在服务器的文件夹 ${name} 中；此处各页面、命令行和 Python 都能打开。`],
  onnx: ["Download as ONNX", "下载 ONNX"],
  report: ["Its report", "查看报告"],
};

let kept = []; // the classes and their pictures, while another screen is open

/** The screen. */
export async function open(_, signal) {
  const say = words(WORDS);
  const status = statusLine();
  const result = element("section");
  const classes = element("div", { className: "cards" });
  const [taken, jobs] = await Promise.all([takenNames(), unfinishedJobs("fit")]);
  const name = element("input", { value: freeName("classes", taken), maxLength: 60, required: true });
  const add = () => {
    const card = classCard(say, classes.children.length + 1, signal, fill);
    classes.append(card);
    return card;
  };
  /** Fill this card, and others where several folders were dropped: each folder is a class. */
  function fill(card, files) {
    const folders = Map.groupBy(files, file => file.folder ?? "");
    for (const [folder, some] of folders) {
      const empty = [...classes.children].find(other => !other.contents().files.length);
      (folders.size === 1 ? card : empty ?? add()).take(some, folder);
    }
  }
  for (const { label, files } of kept) add().restore(label, files);
  while (classes.children.length < 2) add();
  signal.addEventListener("abort", () => (kept = [...classes.children].map(card => card.contents())));

  async function train() {
    const cards = [...classes.children].map(card => card.contents()).filter(one => one.files.length);
    const names = new Set(cards.map(card => card.label));
    if (names.size < 2 || names.size < cards.length || cards.some(one => one.files.length < MIN_PICTURES)) {
      throw new Error(say.needs);
    }
    const model = name.value.trim();
    const problems = await upload(model, cards, status);
    status.say(say.training);
    result.replaceChildren(...problems.map(problem => element("p", { className: "wrong" }, problem)));
    const job = await startJob("fit", { kind: "recognizer", data: model, output: model, minutes: FIRST_MINUTES });
    const plot = curves();
    result.append(plot.element);
    await followJob(job.id, status, signal, plot.add);
    const score = element("p", { role: "status" });
    result.replaceChildren(...modelView(say, model, score, signal));
    result.scrollIntoView({ behavior: "smooth", block: "start" });
    await showScore(say, model, score);
    status.say(say.better);
    const more = await startJob("fit", { ...job.options, more: MORE_MINUTES });
    const morePlot = curves();
    result.append(morePlot.element);
    await followJob(more.id, status, signal, morePlot.add);
    await showScore(say, model, score);
    status.say(say.done);
  }

  const running = jobs.map(job => element("p", { className: "soft" }, `${job.options.output}: ${say.goes}`));
  return [
    running, field(say.name, name), classes,
    element("div", { className: "row" },
      element("button", { type: "button", onclick: add }, say.add),
      action(say.train, train, status.fail, { className: "main" })),
    status.line, result,
  ];
}

/** A class: its name, its pictures, and the ways to add some; `take(files, folder)` adds, `contents()` tells them, `restore(label, files)` sets both. */
function classCard(say, number, signal, fill) {
  const label = element("input", { value: say.class(number), maxLength: 60 });
  const files = [];
  const count = element("p", { className: "soft", role: "status" }, say.count(0));
  const thumbnails = element("div", { className: "pictures" });
  const show = () => {
    count.textContent = say.count(files.length);
    for (const thumbnail of [...thumbnails.children]) if (!files.includes(thumbnail.file)) thumbnail.remove();
    const missing = files.slice(thumbnails.children.length, SHOWN);
    thumbnails.append(...missing.map(file => thumbnail(say, file, remove)));
  };
  const remove = file => {
    files.splice(files.indexOf(file), 1);
    show();
  };
  const take = (added, folder) => {
    if (folder && !files.length) label.value = folder;
    files.push(...added);
    show();
  };
  const record = element("button", { type: "button", hidden: true }, say.record);
  const camera = webcam(({ frame, isOn }) => {
    record.hidden = false;
    let held = false;
    const release = () => (held = false);
    const hold = async () => {
      held = true;
      while (held && isOn()) {
        take([await frame()]);
        await new Promise(resolve => setTimeout(resolve, RECORD_PAUSE));
      }
    };
    record.onpointerdown = hold;
    record.onkeydown = event => event.key === " " && !held && hold();
    record.onkeyup = record.onpointerup = record.onpointerleave = record.onblur = release;
  });
  signal.addEventListener("abort", camera.stop);
  const card = element("section", { className: "card" }, field(say.className, label),
    dropPlace(say.drop, added => fill(card, added)), camera.element, record, count, thumbnails);
  card.take = take;
  card.restore = (name, some) => {
    label.value = name;
    take(some);
  };
  card.contents = () => ({ label: label.value.trim(), files });
  return card;
}

/** A picture of a class; a press takes it out. */
function thumbnail(say, file, remove) {
  const title = say.remove(file.name);
  const button = element("button", { type: "button", className: "pick", title, "aria-label": title, onclick: () => remove(file) }, shown(file, ""));
  return Object.assign(button, { file });
}

/** The verdict on a model, and its score on held-out pictures. */
async function showScore(say, model, line) {
  const { verdict: { sentence } = {}, scores: { accuracy } = {} } = await ask(path`models/${model}`);
  line.replaceChildren(element("strong", {}, sentence ?? ""), " ", accuracy ? say.score(accuracy) : "");
}

/** The model to try and to keep. */
function modelView(say, model, score, signal) {
  const answer = element("div", { role: "status" });
  const exporting = statusLine();
  const tryOne = async ([file]) => {
    const row = await predicted(model, file);
    answer.replaceChildren(element("div", { className: "pair" }, shown(file, file.name), verdict(row)));
  };
  const camera = liveRecognition(() => model);
  signal.addEventListener("abort", camera.stop);
  const again = `${model}-again`; // the model's own folder may hold a run on other pictures by then
  const minutes = FIRST_MINUTES + MORE_MINUTES;
  return [
    element("h2", {}, model), score,
    element("h3", {}, say.try), dropPlace(say.tryDrop, tryOne, { multiple: false }), camera.element, answer,
    element("h3", {}, say.keep), element("p", {}, say.kept(model)),
    element("div", { className: "row" },
      action(say.onnx, () => exportModel(model, exporting, signal), exporting.fail),
      element("a", { href: `#/reports/${encodeURIComponent(model)}` }, say.report)),
    exporting.line,
    sameBy({
      command: `diptych fit recognizer data/${quoted(model)} -o ${quoted(again)} --minutes ${minutes}`,
      python: `import diptych\n\nmodel = diptych.Recognizer(minutes=${minutes})\n` +
        `model.fit(${JSON.stringify(`data/${model}`)}, into=${JSON.stringify(again)})`,
      curl: curl("jobs", "-H", "'Content-Type: application/json'", "-d",
        quoted(JSON.stringify({ verb: "fit", options: { kind: "recognizer", data: model, output: again, minutes } }))),
    }),
  ];
}

/** The ONNX file of a model, as a download. */
async function exportModel(model, status, signal) {
  const job = await startJob("export", { model });
  await followJob(job.id, status, signal);
  download(await (await request(path`jobs/${job.id}/files/model.onnx`)).blob(), `${model}.onnx`);
}
