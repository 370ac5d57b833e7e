// Trust: what could be wrong with a model or its pictures, each as a report that a job writes and the server keeps.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { words } from "../parts/language.js";
import { ask, fileAddress, modelsOf, path } from "../parts/server.js";
import { freeName, takenNames } from "../parts/uploads.js";

const QUESTIONS = ["audit", "privacy", "verdict", "balance"];
const WORDS = {
  question: ["Question", "问题"],
  audit: ["Does it treat all pictures alike?", "它对所有图片一视同仁吗？"],
  privacy: ["Does it give away its training pictures?", "它会泄露训练图片吗？"],
  verdict: ["Do generated pictures help here?", "生成的图片在这里有帮助吗？"],
  balance: ["Fill up scarce classes with generated pictures", "用生成的图片补足稀少的类别"],
  auditAbout: ["Accuracy group by group, and shortcuts: a background or a colour that the model goes by instead of the thing.",
    "逐组的准确率，以及捷径：模型依据背景或颜色而非事物本身。"],
  privacyAbout: ["Attacks the model: how many of its training pictures are recognised as such, and are there copies among its samples? Models of the same settings are trained for comparison, so it takes several times as long as the training.",
    "攻击该模型：有多少训练图片会被认出，生成的样本中是否有复制品？为作比较，会用相同设置训练若干模型，因此用时是训练的数倍。"],
  verdictAbout: ["Trains with and without generated pictures, five times each, and tests on pictures that nothing has seen. It says no where they do not help.",
    "分别使用与不使用生成的图片训练五次，并在从未见过的图片上测试。若无帮助，会明确说不。"],
  balanceAbout: ["Writes a new data set: the real pictures, and generated ones where a class has fewer. Each is marked as generated.",
    "写入新数据集：真实图片，以及稀少类别的生成图片。每张生成图片都有标记。"],
  model: ["Model", "模型"],
  synthesizer: ["Synthesizer", "生成模型"],
  data: ["Pictures", "图片"],
  test: ["Test pictures, which nothing has seen", "从未见过的测试图片"],
  seen: ["Pictures that it was trained on", "训练时用过的图片"],
  unseen: ["Pictures of the same source that it has never seen (200 or more)", "同一来源、从未见过的图片（200 张或更多）"],
  groups: ["Groups: columns of the data set's table (may stay empty)", "分组：数据集表格中的列（可留空）"],
  perClass: ["Pictures of each class", "每类图片数"],
  output: ["Name of the new data set", "新数据集的名称"],
  go: ["Answer it", "回答"],
  working: ["Working … the page may be closed.", "正在进行……可以关闭此页面。"],
  needs: ["This needs a data set and a model. ", "需要数据集和模型。"],
  teach: ["Teach makes both", "在“教”页面创建"],
  folder: ["; pictures in a folder are served by: diptych serve MODELS --data FOLDER", "；文件夹中的图片可这样提供：diptych serve MODELS --data FOLDER"],
  earlier: ["Earlier reports", "以前的报告"],
  report: ["The report", "报告"],
  written: [name => `The data set ${name} is there.`, name => `已写入数据集 ${name}。`],
};
const ANY = ["recognizer", "gan", "vae", "flow"];
const KINDS = { audit: ANY, privacy: ANY, verdict: ["gan", "vae", "flow"], balance: ["gan", "vae", "flow"] };

/** The screen; `shown` is the job whose report is shown first. */
export async function open(shown, signal) {
  const say = words(WORDS);
  const [{ datasets }, models, { jobs }, taken] = await Promise.all([
    ask("datasets"), modelsOf(...ANY), ask("jobs"), takenNames()]);
  const question = choice(QUESTIONS.map(one => [one, say[one]]));
  const form = element("div");
  const status = statusLine();
  const report = element("section");
  const names = datasets.map(set => set.name);

  function showForm() {
    const able = models.filter(model => KINDS[question.value].includes(model.kind)).map(model => model.name);
    report.replaceChildren();
    if (!names.length || !able.length) {
      return form.replaceChildren(element("p", {}, say.needs, element("a", { href: "#/teach" }, say.teach), say.folder));
    }
    const { controls, options } = settings(say, question.value, able, names, taken);
    const ask = action(say.go, () => answer(question.value, options()), status.fail, { className: "main" });
    form.replaceChildren(element("p", { className: "soft" }, say[`${question.value}About`]),
      element("div", { className: "row" }, controls), ask);
  }

  async function answer(verb, options) {
    status.say(say.working);
    const job = await startJob(verb === "privacy" ? "audit" : verb, options);
    const { result } = await followJob(job.id, status, signal);
    status.say(verb === "balance" ? say.written(options.output) : "");
    await showReport({ ...job, result });
  }

  async function showReport(job) {
    const src = await fileAddress(path`jobs/${job.id}/files/report.html`);
    report.replaceChildren(element("h2", {}, say.report),
      element("iframe", { src, sandbox: "", title: `${say.report}: ${say[questionOf(job)]}` }), sameLines(job));
  }

  const earlier = jobs.filter(job => QUESTIONS.includes(job.verb) && job.state === "done");
  const first = earlier.find(job => job.id === shown);
  if (first) question.value = questionOf(first);
  question.addEventListener("change", showForm);
  showForm();
  if (first) await showReport(first);
  const links = earlier.map(job => element("li", {}, element("a", { href: `#/trust/${job.id}` },
    `${say[questionOf(job)]} ${job.options.model} · ${new Date(1000 * job.created).toLocaleString()}`)));
  return [field(say.question, question), form, status.line, report,
    links.length ? element("section", {}, element("h2", {}, say.earlier), element("ul", {}, links)) : ""];
}

/** The question that a job answers: an audit is for bias or for privacy. */
function questionOf(job) {
  return job.options.kind === "privacy" ? "privacy" : job.verb;
}

/** The controls of a question, and the options of the job that answers it. */
function settings(say, verb, models, names, taken) {
  const model = choice(models);
  const data = choice(names);
  if (verb === "privacy") {
    const unseen = choice(names);
    return {
      controls: [field(say.model, model), field(say.seen, data), field(say.unseen, unseen)],
      options: () => ({ kind: "privacy", model: model.value, seen: data.value, unseen: unseen.value }),
    };
  }
  const both = [field(verb === "audit" ? say.model : say.synthesizer, model), field(say.data, data)];
  if (verb === "audit") {
    const groups = element("input", { maxLength: 200 });
    const columns = () => groups.value.split(",").map(column => column.trim()).filter(Boolean);
    return {
      controls: [both, field(say.groups, groups)],
      options: () => ({ model: model.value, data: data.value, ...(columns().length && { groups: columns() }) }),
    };
  }
  if (verb === "verdict") {
    const test = choice(names);
    return { controls: [both, field(say.test, test)], options: () => ({ model: model.value, data: data.value, test: test.value }) };
  }
  const perClass = element("input", { type: "number", min: 1, max: 100_000, step: 1, value: 100 });
  const output = element("input", { value: freeName(`${names[0]}-balanced`, taken), maxLength: 60 });
  return {
    controls: [both, field(say.perClass, perClass), field(say.output, output)],
    options: () => ({ model: model.value, data: data.value, per_class: Number(perClass.value), output: output.value.trim() }),
  };
}

function sameLines(job) {
  const { verb, options } = job;
  const data = `data/${options.data}`;
  const sets = ["seen", "unseen"].map(name => `data/${options[name]}`);
  const [model, pictures] = [JSON.stringify(options.model), JSON.stringify(data)];
  const groups = options.groups ? [` --groups ${quoted(options.groups.join(","))}`, `, groups=${JSON.stringify(options.groups)}`] : ["", ""];
  const lines = {
    audit: [`diptych audit bias ${quoted(options.model)} ${quoted(data)}${groups[0]} -o audit`,
      `from diptych import audit, load\n\nprint(audit.bias(load(${model}), ${pictures}${groups[1]}))`],
    privacy: [`diptych audit privacy ${quoted(options.model)} --seen ${quoted(sets[0])} --unseen ${quoted(sets[1])} -o audit`,
      `from diptych import audit, load\n\nprint(audit.privacy(load(${model}), seen=${JSON.stringify(sets[0])}, unseen=${JSON.stringify(sets[1])}))`],
    verdict: [`diptych verdict ${quoted(data)} ${quoted(options.model)} --test ${quoted(`data/${options.test}`)} -o verdict`,
      `from diptych import interplay, load\n\nprint(interplay.verdict(${pictures}, load(${model}), test=${JSON.stringify(`data/${options.test}`)}))`],
    balance: [`diptych balance ${quoted(data)} ${quoted(options.model)} --per-class ${options.per_class} -o ${quoted(`data/${options.output}`)}`,
      `from diptych import interplay, load\n\nfuller = interplay.balance(${pictures}, load(${model}), per_class=${options.per_class})`],
  }[questionOf(job)];
  return sameBy({
    command: lines[0], python: lines[1],
    curl: curl("jobs", "-H", "'Content-Type: application/json'", "-d", quoted(JSON.stringify({ verb, options }))),
  });
}
