// Make: pictures by a synthesizer; sampled, interpolated, reconstructed, inpainted, restyled; each to be downloaded.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { followJob, startJob } from "../parts/jobs.js";
import { words } from "../parts/language.js";
import { base64Of, download, dropPlace, pictureFile, shown } from "../parts/pictures.js";
import { ask, fileAddress, modelsOf, path } from "../parts/server.js";
import { synthesizerTraining } from "../parts/synthesizer_training.js";
import { freeName, takenNames } from "../parts/uploads.js";
import { markBadge, markOf } from "../parts/verification.js";

const MAX_PICTURES = 64;
const BRUSH = 0.08; // of the picture's side
const MASK_SIDE = 256; // px
const SAVE_PAUSE = 150; // ms between two downloads
const WORDS = {
  another: ["Train another synthesizer", "再训练一个生成模型"],
  keep: ["Keep them as a data set", "存为数据集"],
  keeping: ["Writing the data set …", "正在写入数据集……"],
  kept: [name => `They are in the data set ${name}.`, name => `已存入数据集 ${name}。`],
  map: ["Map shows them beside real ones", "在“地图”中与真实图片一同显示"],
  model: ["Synthesizer", "生成模型"],
  what: ["What to make", "生成方式"],
  sample: ["New pictures", "新图片"],
  interpolate: ["Between two pictures", "两张图片之间"],
  reconstruct: ["The same picture again (reconstruct)", "重建图片"],
  traverse: ["Along the directions of a picture", "沿图片的各方向变化"],
  inpaint: ["Paint over a part and fill it anew", "涂抹并重新填充局部"],
  restyle: ["Into another class (restyle)", "转换为另一类别"],
  class: ["Class", "类别"],
  any: ["any", "任意"],
  guidance: ["Guidance: more is more typical (empty: usual)", "引导强度：越大越典型（空：默认）"],
  direction: [n => `Direction ${n}`, n => `方向 ${n}`],
  replay: ["How it learned", "它是怎样学会的"],
  seen: [n => `After ${n.toLocaleString()} pictures seen`, n => `看过 ${n.toLocaleString()} 张图片之后`],
  seed: ["Seed: change it for other pictures", "随机种子：更换后得到不同图片"],
  number: ["Number", "数量"],
  steps: ["Steps between", "中间步数"],
  strength: ["Strength", "强度"],
  pictures: ["Choose or drop pictures", "选择或拖入图片"],
  brush: ["Paint over what is to be made anew", "涂抹要重新生成的部分"],
  clear: ["Clear the mask", "清除涂抹"],
  go: ["Make", "生成"],
  making: ["Making …", "正在生成……"],
  save: ["Save", "保存"],
  saveAll: ["Save all", "全部保存"],
  missing: ["Add a picture first.", "请先添加图片。"],
  two: ["Add two pictures.", "请添加两张图片。"],
  marked: ["Every picture is marked as generated: press its mark to verify it.", "每张图片都带有“生成”标记：点按标记即可验证。"],
  unmarked: [n => `${n} of these pictures carry no mark.`, n => `其中 ${n} 张图片没有标记。`],
};
const OPERATIONS = ["sample", "interpolate", "reconstruct", "traverse", "inpaint", "restyle"];

/** The screen; `name` is the synthesizer that is chosen first. */
export async function open(name, signal) {
  const say = words(WORDS);
  const models = await modelsOf("gan", "vae", "flow");
  const training = await synthesizerTraining(trained => (location.hash = `#/make/${encodeURIComponent(trained)}`), signal);
  if (!models.length) return [training];
  const model = choice(models.map(one => one.name));
  if (models.some(one => one.name === name)) model.value = name;
  const operation = choice(OPERATIONS.map(one => [one, say[one]]));
  const controls = element("div");
  const grid = element("div");
  const status = statusLine();
  let settings = null;

  function showControls() {
    settings = controlsOf(say, operation.value, models.find(one => one.name === model.value));
    controls.replaceChildren(...settings.elements);
  }

  async function make() {
    const started = settings;
    const body = await started.body();
    const place = operation.value === "sample" ? "sample" : `edit/${operation.value}`;
    status.say(say.making);
    const target = path`models/${model.value}` + `/${place}`;
    const { pictures } = await ask(target, { json: body, signal });
    const files = pictures.map((one, i) => pictureFile(one.data, `${model.value}-${i}.png`));
    const marks = await Promise.all(files.map(markOf));
    const unmarked = marks.filter(mark => !mark).length;
    status.say(unmarked ? say.unmarked(unmarked) : say.marked);
    const keep = operation.value === "sample" && action(say.keep, () => kept(model.value, body), status.fail);
    const told = element("div", { role: "status" });
    const badge = i => markBadge(files[i], marks[i], row => told.replaceChildren(row), status.fail);
    const shown = operation.value === "traverse" ? sliders(say, files, body.steps, badge)
      : results(say, files, pictures.map(one => one.label), badge, keep);
    grid.replaceChildren(...shown, told, sameBy(sameLines(model.value, operation.value, body, target)));
  }

  async function kept(name, body) {
    status.say(say.keeping);
    const output = freeName(`${name}-samples`, await takenNames());
    const job = await startJob("sample", { ...body, model: name, output });
    await followJob(job.id, status, signal);
    status.say(say.kept(output), " ", element("a", { href: "#/map" }, say.map));
  }

  const past = element("section");
  const showModel = async () => {
    showControls();
    past.replaceChildren(...(await replay(say, model.value)));
  };
  model.addEventListener("change", showModel);
  operation.addEventListener("change", showControls);
  await showModel();
  return [
    element("div", { className: "row" }, field(say.model, model), field(say.what, operation)), controls,
    action(say.go, make, status.fail, { className: "main" }), status.line, grid, past,
    element("details", {}, element("summary", {}, say.another), training),
  ];
}

/** The grids of a training's samples, one moment after the other by a slider. */
async function replay(say, model) {
  const { samples } = await ask(path`models/${model}/samples`);
  if (samples.length < 2) return [];
  const grids = await Promise.all(samples.map(moment => fileAddress(path`models/${model}/samples/${moment}`)));
  const picture = element("img", { className: "replay", alt: say.replay });
  const moment = element("input", { type: "range", min: 0, max: samples.length - 1, step: 1, value: samples.length - 1 });
  const caption = element("p", { className: "soft", role: "status" });
  const show = () => {
    picture.src = grids[moment.value];
    caption.textContent = say.seen(samples[moment.value]);
  };
  moment.addEventListener("input", show);
  show();
  return [element("h2", {}, say.replay), field(say.replay, moment), caption, picture];
}

/** The pictures of a traversal: for each direction one, which a slider moves along it. */
function sliders(say, files, steps, badge) {
  const cells = Array.from({ length: files.length / steps }, (_, k) => {
    const middle = k * steps + Math.floor(steps / 2);
    const picture = shown(files[middle], say.direction(k + 1));
    const slider = element("input", { type: "range", min: 0, max: steps - 1, step: 1, value: middle - k * steps });
    const caption = element("figcaption");
    const show = i => {
      picture.src = URL.createObjectURL(files[i]);
      caption.replaceChildren(badge(i), element("a", { href: picture.src, download: files[i].name }, say.save));
    };
    slider.addEventListener("input", () => show(k * steps + Number(slider.value)));
    show(middle);
    return element("figure", {}, picture, field(say.direction(k + 1), slider), caption);
  });
  return [element("div", { className: "grid" }, cells)];
}

/** The controls of an operation, and the request that they amount to. */
function controlsOf(say, operation, model) {
  const label = choice([["", say.any], ...model.classes]);
  const seed = number(0, 0, 2 ** 31, 1);
  const labelled = model.classes.length ? [field(say.class, label)] : [];
  const withLabel = body => (label.value ? { ...body, label: label.value } : body);
  if (operation === "sample") {
    const count = number(16, 1, MAX_PICTURES, 1);
    const guidance = number("", 0, 20, 0.5);
    const guided = model.kind === "flow" && model.classes.length ? field(say.guidance, guidance) : null;
    return {
      elements: [element("div", { className: "row" }, labelled, field(say.number, count), field(say.seed, seed), guided)],
      body: () => withLabel({ number: Number(count.value), seed: Number(seed.value),
        ...(guidance.value && { guidance: Number(guidance.value) }) }),
    };
  }
  const files = [];
  const chosen = element("div", { className: "pictures" });
  const steps = number(7, 2, 24, 1);
  const strength = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.5 });
  const mask = operation === "inpaint" ? maskCanvas(say) : null;
  const drop = dropPlace(say.pictures, added => {
    files.splice(0, operation === "interpolate" && files.length < 2 ? 0 : files.length, ...added);
    chosen.replaceChildren(...files.map(file => shown(file, file.name)));
    mask?.over(files[0]);
  });
  const extra = {
    interpolate: [say.steps, steps], traverse: [say.steps, steps], restyle: [say.strength, strength], inpaint: [say.seed, seed],
  }[operation];
  return {
    elements: [drop, mask?.element ?? chosen, element("div", { className: "row" }, labelled, extra && field(...extra))],
    async body() {
      if (!files.length) throw new Error(say.missing);
      if (operation === "interpolate" && files.length < 2) throw new Error(say.two);
      const body = withLabel({ pictures: await Promise.all(files.map(base64Of)) });
      if (["interpolate", "traverse"].includes(operation)) body.steps = Number(steps.value);
      if (operation === "restyle") body.strength = Number(strength.value);
      if (mask) Object.assign(body, { seed: Number(seed.value), mask: await mask.base64() });
      return body;
    },
  };
}

function number(value, min, max, step) {
  return element("input", { type: "number", value, min, max, step });
}

/** A picture to paint over with a brush: what is painted is white in the mask. */
function maskCanvas(say) {
  const view = element("canvas", { width: MASK_SIDE, height: MASK_SIDE, role: "img", "aria-label": say.brush, className: "brush" });
  const mask = new OffscreenCanvas(MASK_SIDE, MASK_SIDE);
  let picture = null;
  let painting = false;

  function draw() {
    const context = view.getContext("2d");
    context.clearRect(0, 0, MASK_SIDE, MASK_SIDE);
    if (picture) context.drawImage(picture, ...square(picture), 0, 0, MASK_SIDE, MASK_SIDE);
    context.globalAlpha = 0.6;
    context.drawImage(mask, 0, 0);
    context.globalAlpha = 1;
  }

  function clear() {
    mask.getContext("2d").clearRect(0, 0, MASK_SIDE, MASK_SIDE);
    draw();
  }

  function paint(event) {
    if (!painting) return;
    const box = view.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const context = mask.getContext("2d");
    context.fillStyle = "white";
    context.beginPath();
    context.arc(x * MASK_SIDE, y * MASK_SIDE, BRUSH * MASK_SIDE, 0, 2 * Math.PI);
    context.fill();
    draw();
  }

  view.addEventListener("pointerdown", event => {
    painting = true;
    view.setPointerCapture(event.pointerId);
    paint(event);
  });
  view.addEventListener("pointermove", paint);
  view.addEventListener("pointerup", () => (painting = false));
  return {
    element: element("div", {}, element("p", { className: "soft" }, say.brush), view,
      element("div", {}, element("button", { type: "button", onclick: clear }, say.clear))),
    async over(file) {
      picture = await createImageBitmap(file);
      clear();
    },
    async base64() {
      const whole = new OffscreenCanvas(MASK_SIDE, MASK_SIDE);
      const context = whole.getContext("2d");
      context.fillRect(0, 0, MASK_SIDE, MASK_SIDE);
      context.drawImage(mask, 0, 0);
      return base64Of(await whole.convertToBlob({ type: "image/png" }));
    },
  };
}

/** The largest centred square of a picture, which is what a synthesizer sees. */
function square({ width, height }) {
  const side = Math.min(width, height);
  return [(width - side) / 2, (height - side) / 2, side, side];
}

function results(say, files, labels, badge, keep) {
  const figures = files.map((file, i) => element("figure", {},
    shown(file, labels[i] ?? say.sample),
    element("figcaption", {}, labels[i] ?? "", badge(i),
      element("a", { href: URL.createObjectURL(file), download: file.name, "aria-label": `${say.save}: ${file.name}` }, say.save))));
  const all = action(say.saveAll, () => saved(files));
  return [element("div", { className: "grid" }, figures), element("div", { className: "row" }, all, keep)];
}

/** Save file after file: a browser lets only some ten downloads through at a time. */
async function saved(files) {
  for (const file of files) {
    download(file, file.name);
    await new Promise(resolve => setTimeout(resolve, SAVE_PAUSE));
  }
}

function sameLines(model, operation, body, target) {
  const label = body.label ? [` --label ${quoted(body.label)}`, `, label=${JSON.stringify(body.label)}`] : ["", ""];
  const sampled = operation === "sample";
  const guidance = body.guidance ? [` --guidance ${body.guidance}`, `.sampled_with(guidance=${body.guidance})`] : ["", ""];
  const method = operation === "interpolate" ? "interpolate(first, second" : `${operation}(pictures`;
  const shortBody = body.pictures ? { ...body, pictures: body.pictures.map(() => "BASE64"), ...(body.mask && { mask: "BASE64" }) } : body;
  return {
    command: sampled
      ? `diptych sample ${quoted(model)} -n ${body.number} --seed ${body.seed}${label[0]}${guidance[0]} -o samples`
      : `diptych edit ${operation} ${quoted(model)} PICTURES${label[0]} -o edited`,
    python: `import diptych\n\nmodel = diptych.load(${JSON.stringify(model)})\n` + (sampled
      ? `model${guidance[1]}.sample(${body.number}, seed=${body.seed}${label[1]}).save("samples")`
      : `pictures = model.${method}${label[1]})`),
    curl: curl(target, "-H", "'Content-Type: application/json'", "-d", quoted(JSON.stringify(shortBody))),
  };
}
