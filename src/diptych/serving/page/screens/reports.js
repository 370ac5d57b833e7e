// Models: what is on the server, each with its report, its pictures on the way, a new name, or its end.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, element, statusLine } from "../parts/elements.js";
import { followJob, startJob, unfinishedJobs } from "../parts/jobs.js";
import { words } from "../parts/language.js";
import { ask, fileAddress, path, request } from "../parts/server.js";
import { verification } from "../parts/verification.js";

const WORDS = {
  training: ["In training", "正在训练"],
  waiting: ["waiting", "等待中"],
  running: ["running", "进行中"],
  failed: ["failed", "失败"],
  cancelled: ["stopped", "已停止"],
  stopped: ["stopped with the server", "随服务器停止"],
  done: ["done", "已完成"],
  unfinished: ["left half-way", "未完成"],
  work: ["Other work", "其他任务"],
  fit: [name => `Training ${name}`, name => `训练 ${name}`],
  inspect: [name => `Looking for what is wrong in ${name}`, name => `检查 ${name} 中的问题`],
  enroll: [name => `Making the gallery ${name}`, name => `创建图库 ${name}`],
  map: [name => `A map of ${name}`, name => `${name} 的地图`],
  sample: [name => `Pictures for ${name}`, name => `为 ${name} 生成图片`],
  other: [(name, verb) => `${verb} ${name}`, (name, verb) => `${verb} ${name}`],
  seen: [(state, n) => `${state} · ${n.toLocaleString()} pictures seen`, (state, n) => `${state} · 已看 ${n.toLocaleString()} 张图片`],
  stop: ["Stop", "停止"],
  resume: ["Continue", "继续"],
  none: ["There are no models yet.", "还没有模型。"],
  teach: ["Teach one", "去教一个"],
  recognizer: ["recognizer", "识别模型"],
  gallery: ["gallery", "图库"],
  gan: ["GAN", "GAN"],
  vae: ["VAE", "VAE"],
  flow: ["flow", "流模型"],
  classes: [n => `${n} classes`, n => `${n} 个类别`],
  report: ["Report", "报告"],
  use: ["Use", "使用"],
  rename: ["Rename", "重命名"],
  remove: ["Delete", "删除"],
  newName: ["The new name", "新名称"],
  sure: [name => `Delete ${name} for good?`, name => `确定永久删除 ${name} 吗？`],
  back: ["All models", "全部模型"],
  choose: [name => `Compare ${name}`, name => `比较 ${name}`],
  compare: ["Compare the chosen ones side by side", "并排比较所选模型"],
  two: ["Choose two models or more of the same kind.", "请选择两个或更多同类模型。"],
  comparing: ["Comparing …", "正在比较……"],
  comparison: ["The comparison", "比较结果"],
  whose: ["Whose model is this?", "这是谁的模型？"],
};
const SCREEN_OF = { recognizer: "recognise", gallery: "match", gan: "make", vae: "make", flow: "make" };

/** The screen: all models, or the report of the model `name`. */
export async function open(name, signal) {
  const say = words(WORDS);
  return name ? report(say, name) : list(say, signal);
}

async function list(say, signal) {
  const [{ models, unfinished }, jobs] = await Promise.all([ask("models"), unfinishedJobs()]);
  if (!models.length && !unfinished.length && !jobs.length) {
    return [element("p", {}, say.none, " ", element("a", { href: "#/teach" }, say.teach))];
  }
  const status = statusLine();
  const runs = unfinished.length ? [element("h2", {}, say.training),
    element("div", { className: "cards" }, unfinished.map(run => training(say, run, status)))] : [];
  const others = jobs.filter(job => !unfinished.some(run => run.job === job.id));
  const work = others.length ? [element("h2", {}, say.work),
    element("div", { className: "cards" }, others.map(job => task(say, job, status)))] : [];
  const chosen = new Set();
  const comparison = element("section");
  const compare = action(say.compare, () => compared(say, [...chosen], comparison, status, signal), status.fail);
  const cards = models.map(model => card(say, model, status, chosen));
  return [status.line, element("div", { className: "cards" }, cards), models.length > 1 ? element("div", { className: "row" }, compare) : "", comparison, runs, work];
}

/** The chosen models side by side: what `diptych compare` writes, in a frame. */
async function compared(say, names, place, status, signal) {
  if (names.length < 2) throw new Error(say.two);
  status.say(say.comparing);
  const job = await startJob("compare", { models: names });
  await followJob(job.id, status, signal);
  status.say("");
  const src = await fileAddress(path`jobs/${job.id}/files/report.html`);
  place.replaceChildren(element("h2", {}, say.comparison),
    element("iframe", { src, sandbox: "", title: say.comparison }),
    sameBy({
      command: `diptych compare ${names.map(quoted).join(" ")} -o comparison.html`,
      python: "from pathlib import Path\n\nfrom diptych.interplay.comparison import compare\n\n" +
        `print(compare([${names.map(name => `Path(${JSON.stringify(name)})`).join(", ")}]))`,
      curl: curl("jobs", "-H", "'Content-Type: application/json'", "-d", quoted(JSON.stringify({ verb: "compare", options: { models: names } }))),
    }));
}

const again = () => dispatchEvent(new HashChangeEvent("hashchange"));

/** A run that goes on, or that was left half-way; one that a job of the server did can be stopped and continued. */
function training(say, run, status) {
  const running = ["waiting", "running"].includes(run.state);
  const verb = running ? "cancel" : "resume";
  const button = run.job && action(running ? say.stop : say.resume, async () => {
    await ask(path`jobs/${run.job}` + `/${verb}`, { method: "POST" });
    again();
  }, status.fail);
  return element("section", { className: "card" }, element("h3", {}, run.name),
    element("p", { className: "soft" }, say.seen(say[run.state] ?? run.state, run.seen_pictures)),
    run.message && element("p", { className: "soft" }, run.message), button);
}

/** Other work of the server, such as an inspection or the improvement of a model: it can be stopped. */
function task(say, { id, verb, state, options }, status) {
  const name = [options.output ?? options.data ?? options.model ?? options.models ?? ""].flat().join(", ");
  const stop = action(say.stop, async () => {
    await ask(path`jobs/${id}` + "/cancel", { method: "POST" });
    again();
  }, status.fail);
  return element("section", { className: "card" }, element("h3", {}, (say[verb] ?? say.other)(name, verb)),
    element("p", { className: "soft" }, say[state]), stop);
}

function card(say, model, status, chosen) {
  const facts = [say[model.kind] ?? model.kind, model.classes?.length && say.classes(model.classes.length),
    model.size && `${model.size} px`].filter(Boolean);
  const box = element("input", { type: "checkbox" });
  box.addEventListener("change", () => (box.checked ? chosen.add(model.name) : chosen.delete(model.name)));
  const buttons = [
    SCREEN_OF[model.kind] && element("a", { href: `#/${SCREEN_OF[model.kind]}/${encodeURIComponent(model.name)}` }, say.use),
    model.kind && element("a", { href: `#/reports/${encodeURIComponent(model.name)}` }, say.report),
    action(say.rename, async () => {
      const chosen = prompt(say.newName, model.name);
      if (!chosen || chosen === model.name) return;
      await ask(path`models/${model.name}`, { method: "PATCH", json: { name: chosen } });
      again();
    }, status.fail),
    action(say.remove, async () => {
      if (!confirm(say.sure(model.name))) return;
      await request(path`models/${model.name}`, { method: "DELETE" });
      again();
    }, status.fail),
  ];
  return element("section", { className: "card" }, element("h2", {}, model.name),
    model.error ? element("p", { className: "wrong" }, model.error) : element("p", { className: "soft" }, facts.join(" · ")),
    model.kind !== "gallery" && !model.error && element("p", {}, element("label", {}, box, " ", say.choose(model.name))),
    element("div", { className: "row" }, buttons));
}

/** The report in a frame of its own, in which no script runs. */
async function page(say, name) {
  try {
    const src = await fileAddress(path`models/${name}/report`);
    return element("iframe", { src, sandbox: "", title: `${say.report}: ${name}` });
  } catch (error) {
    return element("p", { className: "soft" }, error.message);
  }
}

/** Who signed the model, and whether it was changed since. */
async function whose(say, name) {
  const told = await ask(path`models/${name}/verify`).then(verification, error => element("p", { className: "soft" }, error.message));
  return element("details", {}, element("summary", {}, say.whose), told);
}

/** What the command line does with a model of this kind; PICTURES are labelled ones that it was not trained on. */
function commandOf(kind, name) {
  if (kind === "gallery") return `diptych gallery list ${name}`;
  return kind === "recognizer" ? `diptych evaluate ${name} PICTURES` : `diptych sample ${name} -n 16 -o samples`;
}

async function report(say, name) {
  const facts = await ask(path`models/${name}`);
  const verdict = facts.verdict ? element("p", {}, element("strong", {}, facts.verdict.sentence), " ", facts.verdict.reason) : null;
  return [
    element("p", {}, element("a", { href: "#/reports" }, say.back)),
    element("h2", {}, name), verdict,
    await page(say, name),
    await whose(say, name),
    sameBy({
      command: commandOf(facts.kind, quoted(name)),
      python: `import diptych\n\nmodel = diptych.load(${JSON.stringify(name)})\nprint(model.report_)`,
      curl: curl(path`models/${name}/report`, "-o", "report.html"),
    }),
  ];
}
