// Match: the nearest pictures in a gallery; enroll and remove, merge and split, and how often it is wrong.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { percent, words } from "../parts/language.js";
import { base64Of, dropPlace, onPaste, shown } from "../parts/pictures.js";
import { ask, fileAddress, modelsOf, path, pictureType } from "../parts/server.js";
import { freeName, takenNames } from "../parts/uploads.js";

const SHOWN = 12; // nearest pictures
const PAGE = 60; // pictures of a label
const WORDS = {
  none: ["There is no gallery here yet: labelled pictures that new ones are matched with.", "这里还没有图库：即用于比对的带标签图片。"],
  from: ["Make one from the data set", "用此数据集创建"],
  name: ["Name", "名称"],
  make: ["Make the gallery", "创建图库"],
  making: ["Making the gallery …", "正在创建图库……"],
  gallery: ["Gallery", "图库"],
  drop: ["Choose a picture, drop or paste it: who or what is it?", "选择、拖入或粘贴一张图片：它是谁或是什么？"],
  unknown: [label => `Unknown; nearest to ${label}`, label => `未知；最接近 ${label}`],
  vote: [share => `${percent(share)} of the vote of the nearest pictures; under each is its distance (0: the same picture)`,
    share => `最近的图片得票 ${percent(share)}；每张图片下方是它的距离（0 表示同一张图片）`],
  threshold: ["How strict", "严格程度"],
  means: [(t) => `Of things that are not in the gallery ${percent(t.far)} pass for known ones; of those that are, ${percent(t.tar)} are recognised.`,
    (t) => `不在图库中的事物有 ${percent(t.far)} 被误认；在图库中的有 ${percent(t.tar)} 被认出。`],
  unmeasured: ["Too few pictures to measure how often it is wrong.", "图片太少，无法测量错误率。"],
  enroll: ["Add pictures", "添加图片"],
  another: ["Make another gallery", "再创建一个图库"],
  label: ["Label", "标签"],
  noLabel: ["Write their label first.", "请先填写标签。"],
  enrolDrop: ["Choose or drop pictures of this label", "选择或拖入该标签的图片"],
  added: [(n, label) => `${n} added to ${label}.`, (n, label) => `已向 ${label} 添加 ${n} 张。`],
  labels: ["What is in it", "图库内容"],
  rename: ["Rename or merge", "重命名或合并"],
  renameTo: ["Its new name; the name of another merges both", "新名称；填另一标签的名称则合并两者"],
  remove: ["Remove", "移除"],
  sure: [label => `Remove ${label} with all its pictures for good?`, label => `确定永久移除 ${label} 及其全部图片吗？`],
  split: ["Give the chosen pictures the label", "把选中的图片改为标签"],
  removeChosen: ["Remove the chosen", "移除选中"],
  go: ["Move", "移动"],
  noData: ["It is made of a data set. ", "图库由数据集创建。"],
  teach: ["Teach makes one", "在“教”页面创建数据集"],
  pictures: [n => `${n} ${n === 1 ? "picture" : "pictures"}`, n => `${n} 张图片`],
};

/** The screen; `name` is the gallery that is chosen first. */
export async function open(name, signal) {
  const say = words(WORDS);
  const galleries = await modelsOf("gallery");
  if (!galleries.length) return [element("p", {}, say.none), await maker(say, signal)];
  const select = choice(galleries.map(one => one.name));
  if (galleries.some(one => one.name === name)) select.value = name;
  const content = element("div");
  const show = async () => content.replaceChildren(...(await gallery(say, select.value, signal)));
  select.addEventListener("change", show);
  await show();
  return [field(say.gallery, select), content, element("details", {}, element("summary", {}, say.another), await maker(say, signal))];
}

/** Make a gallery of a data set, as a job. */
async function maker(say, signal) {
  const { datasets } = await ask("datasets");
  if (!datasets.length) return element("p", {}, say.noData, element("a", { href: "#/teach" }, say.teach));
  const status = statusLine();
  const data = choice(datasets.map(set => set.name));
  const name = element("input", { value: freeName("gallery", await takenNames()), maxLength: 60 });
  const make = action(say.make, async () => {
    status.say(say.making);
    const job = await startJob("enroll", { output: name.value.trim(), data: data.value });
    await followJob(job.id, status, signal);
    location.hash = `#/match/${encodeURIComponent(name.value.trim())}`;
  }, status.fail, { className: "main" });
  return element("div", {}, element("div", { className: "row" }, field(say.from, data), field(say.name, name), make), status.line);
}

async function gallery(say, name, signal) {
  const facts = await ask(path`models/${name}`);
  const thresholds = facts.calibration?.unknown ?? [];
  const status = statusLine();
  const answer = element("div");
  const means = element("p", { className: "soft", role: "status" });
  const slider = element("input", { type: "range", min: 0, max: Math.max(0, thresholds.length - 1), step: 1 });
  const contents = element("section");
  let probe = null;

  const threshold = () => thresholds[thresholds.length - 1 - Number(slider.value)];
  const explain = () => (means.textContent = threshold() ? say.means(threshold()) : say.unmeasured);
  async function match() {
    if (!probe) return;
    const query = new URLSearchParams({ k: 20, ...(threshold() && { far: threshold().far }) });
    const row = await ask(`${path`models/${name}/match`}?${query}`, { body: probe, type: pictureType(probe) });
    answer.replaceChildren(element("div", { className: "pair" }, shown(probe, probe.name), await verdict(say, name, row)),
      sameBy(sameLines(name, probe.name, threshold())));
  }
  const take = ([file]) => {
    probe = file;
    match().catch(error => status.fail(error.message));
  };
  slider.value = Math.max(0, thresholds.findLastIndex(one => one.far <= 0.05) < 0 ? 0
    : thresholds.length - 1 - thresholds.findLastIndex(one => one.far <= 0.05));
  slider.addEventListener("input", explain);
  slider.addEventListener("change", () => match().catch(error => status.fail(error.message)));
  explain();
  onPaste(take, signal);
  const refresh = () => showLabels(say, name, contents, status);
  await refresh();
  return [
    dropPlace(say.drop, take, { multiple: false }), status.line, answer,
    thresholds.length ? field(say.threshold, slider) : null, means,
    element("h2", {}, say.enroll), enrolment(say, name, status, refresh), element("h2", {}, say.labels), contents,
  ].filter(Boolean);
}

async function verdict(say, name, row) {
  const nearest = await Promise.all(row.nearest.slice(0, SHOWN).map(async one => element("figure", {},
    element("img", { src: await fileAddress(path`models/${name}/thumbnails/${one.id}`), alt: one.label }),
    element("figcaption", {}, one.label, element("span", {}, one.distance.toFixed(2))))));
  return element("div", {}, element("p", { className: "answer" }, row.unknown ? say.unknown(row.label) : row.label),
    element("p", {}, say.vote(row.confidence)), element("div", { className: "grid" }, nearest));
}

function enrolment(say, name, status, refresh) {
  const label = element("input", { maxLength: 200, required: true });
  const drop = dropPlace(say.enrolDrop, async files => {
    try {
      if (!label.value.trim()) throw new Error(say.noLabel);
      const pictures = await Promise.all(files.map(async file => ({ name: file.name, data: await base64Of(file) })));
      const { added } = await ask(`${path`models/${name}/enroll`}?${new URLSearchParams({ label: label.value.trim() })}`,
        { json: { pictures } });
      status.say(say.added(added, label.value.trim()));
      await refresh();
    } catch (error) {
      status.fail(error.message);
    }
  });
  return element("div", { className: "card" }, field(say.label, label), drop);
}

/** The labels of a gallery, each with its pictures when it is opened. */
async function showLabels(say, name, contents, status) {
  const { labels } = await ask(path`models/${name}/labels`);
  const refresh = () => showLabels(say, name, contents, status);
  contents.replaceChildren(...Object.entries(labels).map(([label, count]) => {
    const inside = element("div");
    const fold = element("details", {}, element("summary", {}, `${label} · ${say.pictures(count)}`), inside);
    fold.addEventListener("toggle", async () => {
      if (fold.open && !inside.children.length) inside.append(...(await labelled(say, name, label, refresh, status)));
    });
    return fold;
  }));
}

async function labelled(say, name, label, refresh, status) {
  const { pictures } = await ask(`${path`models/${name}/pictures`}?${new URLSearchParams({ label, limit: PAGE })}`);
  const chosen = new Set();
  const thumbnails = await Promise.all(pictures.map(async ({ id, path: file }) => {
    const button = element("button", { type: "button", className: "pick", "aria-pressed": "false", "aria-label": file },
      element("img", { src: await fileAddress(path`models/${name}/thumbnails/${id}`), alt: "" }));
    button.addEventListener("click", () => {
      chosen.has(id) ? chosen.delete(id) : chosen.add(id);
      button.setAttribute("aria-pressed", String(chosen.has(id)));
    });
    return button;
  }));
  const change = (verb, json) => async () => {
    await ask(path`models/${name}/pictures` + `/${verb}`, { json: json() });
    await refresh();
  };
  const to = element("input", { maxLength: 200 });
  return [
    element("div", { className: "pictures" }, thumbnails),
    element("div", { className: "row" }, field(say.split, to),
      action(say.go, change("reassign", () => ({ ids: [...chosen], label: to.value.trim() })), status.fail),
      action(say.removeChosen, change("remove", () => ({ ids: [...chosen] })), status.fail)),
    element("div", { className: "row" },
      action(say.rename, async () => {
        const into = prompt(say.renameTo, label)?.trim();
        if (into && into !== label) await change("relabel", () => ({ label, into }))();
      }, status.fail),
      action(say.remove, async () => {
        if (confirm(say.sure(label))) await change("remove", () => ({ labels: [label] }))();
      }, status.fail)),
  ];
}

function sameLines(name, file, threshold) {
  const far = threshold ? [` --far ${threshold.far}`, `, far=${threshold.far}`, `?far=${threshold.far}`] : ["", "", ""];
  return {
    command: `diptych match ${quoted(name)} ${quoted(file)}${far[0]}`,
    python: `import diptych\n\ngallery = diptych.load(${JSON.stringify(name)})\nprint(gallery.match(${JSON.stringify(file)}${far[1]}))`,
    curl: curl(path`models/${name}/match` + far[2], "--data-binary", quoted(`@${file}`), "-H", "'Content-Type: image/*'"),
  };
}
