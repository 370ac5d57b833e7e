// Models: what is on the server, each with its report, its pictures on the way, a new name, or its end.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, element, statusLine } from "../parts/elements.js";
import { words } from "../parts/language.js";
import { ask, path } from "../parts/server.js";

const WORDS = {
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
  noReport: ["This model has no report.", "该模型没有报告。"],
};
const SCREEN_OF = { recognizer: "recognise", gan: "make", vae: "make", flow: "make" };

/** The screen: all models, or the report of the model `name`. */
export async function open(name) {
  const say = words(WORDS);
  return name ? report(say, name) : list(say);
}

async function list(say) {
  const { models } = await ask("models");
  if (!models.length) return [element("p", {}, say.none, " ", element("a", { href: "#/teach" }, say.teach))];
  const status = statusLine();
  return [status.line, element("div", { className: "cards" }, models.map(model => card(say, model, status)))];
}

function card(say, model, status) {
  const facts = [say[model.kind] ?? model.kind, model.classes?.length && say.classes(model.classes.length),
    model.size && `${model.size} px`].filter(Boolean);
  const again = () => location.replace("#/reports") || dispatchEvent(new HashChangeEvent("hashchange"));
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
      const { request } = await import("../parts/server.js");
      await request(path`models/${model.name}`, { method: "DELETE" });
      again();
    }, status.fail),
  ];
  return element("section", { className: "card" }, element("h2", {}, model.name),
    model.error ? element("p", { className: "wrong" }, model.error) : element("p", { className: "soft" }, facts.join(" · ")),
    element("div", { className: "row" }, buttons));
}

async function report(say, name) {
  const facts = await ask(path`models/${name}`);
  const verdict = facts.verdict ? element("p", {}, element("strong", {}, facts.verdict.sentence), " ", facts.verdict.reason) : null;
  return [
    element("p", {}, element("a", { href: "#/reports" }, say.back)),
    element("h2", {}, name), verdict,
    element("iframe", { src: path`models/${name}/report`, title: `${say.report}: ${name}` }),
    sameBy({
      command: `diptych evaluate ${quoted(name)} PICTURES`,
      python: `import diptych\n\nmodel = diptych.load(${JSON.stringify(name)})\nmodel.report_`,
      curl: curl(path`models/${name}/report`, "-o", "report.html"),
    }),
  ];
}
