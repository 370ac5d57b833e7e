// Training a synthesizer on a data set of the server, or on pictures that are dropped here.

import { curl, quoted, sameBy } from "./commands.js";
import { curves } from "./curves.js";
import { action, choice, element, field, statusLine } from "./elements.js";
import { followJob, startJob, unfinishedJobs } from "./jobs.js";
import { words } from "./language.js";
import { dropPlace } from "./pictures.js";
import { ask } from "./server.js";
import { freeName, takenNames, upload } from "./uploads.js";

const MINUTES = 10;
const KINDS = ["flow", "gan", "vae"];
const WORDS = {
  title: ["Train a synthesizer", "训练生成模型"],
  intro: ["A hundred pictures are a beginning; more pictures and more minutes make better ones.", "一百张图片即可开始；图片越多、时间越长，效果越好。"],
  dataset: ["Learn from", "学习的数据集"],
  fresh: ["pictures dropped here", "拖到这里的图片"],
  drop: ["Choose pictures, or drop them or a folder here", "选择图片，或把图片、文件夹拖到这里"],
  count: [n => `${n} ${n === 1 ? "picture" : "pictures"}`, n => `${n} 张图片`],
  kind: ["Kind", "种类"],
  flow: ["flow: the best pictures", "流模型：图片质量最好"],
  gan: ["GAN: the quickest to make them", "GAN：生成最快"],
  vae: ["VAE: the best to edit with", "VAE：最适合编辑"],
  minutes: ["Minutes", "分钟"],
  name: ["Name of the synthesizer", "生成模型的名称"],
  train: ["Train", "训练"],
  training: ["Training … the page may be closed.", "正在训练……可以关闭此页面。"],
  missing: ["Add pictures first.", "请先添加图片。"],
  goes: [name => `${name} is in training.`, name => `${name} 正在训练。`],
  pictures: ["pictures", "图片"],
};

/** The controls; `done` is told the name of the synthesizer when it is trained. */
export async function synthesizerTraining(done, signal) {
  const say = words(WORDS);
  const [{ datasets }, taken, running] = await Promise.all([ask("datasets"), takenNames(), unfinishedJobs("fit")]);
  const filled = datasets.filter(set => set.pictures > 0);
  const dataset = choice([...filled.map(set => set.name), ["", say.fresh]]);
  const kind = choice(KINDS.map(one => [one, say[one]]));
  const minutes = element("input", { type: "number", value: MINUTES, min: 0.5, max: 10_000, step: 0.5 });
  const name = element("input", { maxLength: 60, required: true });
  const files = [];
  const count = element("p", { className: "soft", role: "status" }, say.count(0));
  const drop = element("div", {}, dropPlace(say.drop, added => {
    files.push(...added);
    count.textContent = say.count(files.length);
  }), count);
  const status = statusLine();
  const progress = element("div");
  const same = element("div");

  function update() {
    drop.hidden = dataset.value !== "";
    name.value = freeName(`${dataset.value || say.pictures}-${kind.value}`, taken);
    same.replaceChildren(sameLines(options()));
  }
  const options = () => ({ kind: kind.value, data: dataset.value || name.value.trim(), output: name.value.trim(), minutes: Number(minutes.value) });

  async function follow(id, output) {
    const plot = curves();
    status.say(say.training);
    progress.append(plot.element);
    await followJob(id, status, signal, plot.add);
    done(output);
  }

  async function train() {
    const chosen = options();
    progress.replaceChildren();
    if (!dataset.value) {
      if (!files.length) throw new Error(say.missing);
      const classes = [...Map.groupBy(files, file => file.folder || say.pictures)].map(([label, some]) => ({ label, files: some }));
      const problems = await upload(chosen.data, classes, status);
      progress.append(...problems.map(problem => element("p", { className: "wrong" }, problem)));
    }
    const job = await startJob("fit", chosen);
    await follow(job.id, chosen.output);
  }

  for (const control of [dataset, kind]) control.addEventListener("change", update);
  for (const control of [name, minutes]) control.addEventListener("input", () => same.replaceChildren(sameLines(options())));
  update();
  const mine = running.filter(job => KINDS.includes(job.options.kind));
  if (mine.length) follow(mine[0].id, mine[0].options.output).catch(error => signal.aborted || status.fail(error.message));
  return element("section", {}, element("h2", {}, say.title), element("p", { className: "soft" }, say.intro),
    mine.map(job => element("p", { className: "soft" }, say.goes(job.options.output))),
    element("div", { className: "row" }, field(say.dataset, dataset), field(say.kind, kind), field(say.minutes, minutes), field(say.name, name)),
    drop, action(say.train, train, status.fail, { className: "main" }), status.line, progress, same);
}

function sameLines({ kind, data, output, minutes }) {
  const classes = { flow: "Flow", gan: "GAN", vae: "VAE" };
  return sameBy({
    command: `diptych fit ${kind} data/${quoted(data)} -o ${quoted(output)} --minutes ${minutes}`,
    python: `import diptych\n\nmodel = diptych.${classes[kind]}(minutes=${minutes})\n` +
      `model.fit(${JSON.stringify(`data/${data}`)}, into=${JSON.stringify(output)})`,
    curl: curl("jobs", "-H", "'Content-Type: application/json'", "-d",
      quoted(JSON.stringify({ verb: "fit", options: { kind, data, output, minutes } }))),
  });
}
