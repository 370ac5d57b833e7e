// Recognise: pictures in, labels out; one in detail, many as a table.

import { curl, quoted, sameBy } from "../parts/commands.js";
import { action, choice, element, field, statusLine } from "../parts/elements.js";
import { percent, words } from "../parts/language.js";
import { download, dropPlace, onPaste, pictureFile, shown } from "../parts/pictures.js";
import { ask, modelsOf, path, pictureType, thumbnailAddress } from "../parts/server.js";
import { webcam } from "../parts/webcam.js";

const SHOWN_LABELS = 5;
const AT_ONCE = 4; // requests on their way
const LIVE_PAUSE = 150; // ms between two looks through the webcam
const WORDS = {
  none: ["There is no recognizer here yet.", "这里还没有识别模型。"],
  teach: ["Teach one", "去教一个"],
  model: ["Recognizer", "识别模型"],
  drop: ["Choose pictures, drop them or a folder here, or paste one", "选择图片，或把图片、文件夹拖到这里，或粘贴"],
  looking: [(done, all) => `${done} of ${all} pictures`, (done, all) => `${all} 张中的 ${done} 张`],
  unknown: [label => `Unknown; most like ${label}`, label => `未知；最像 ${label}`],
  nothing: ["no label", "无标签"],
  set: [labels => `With 90 % certainty one of: ${labels}`, labels => `九成把握属于：${labels}`],
  why: ["Why?", "为什么？"],
  where: [label => `Where it sees ${label}: the brighter, the more`, label => `它在哪里看到 ${label}：越亮越相关`],
  similar: ["The most similar training pictures", "最相似的训练图片"],
  csv: ["Save as CSV", "保存为 CSV"],
  picture: ["Picture", "图片"],
  file: ["File", "文件"],
  label: ["Label", "标签"],
  confidence: ["Confidence", "置信度"],
  also: ["Could also be", "也可能是"],
  first: ["Looking: the first answer takes some seconds …", "正在看：首次回答需要几秒……"],
  all: ["All pictures", "全部图片"],
};

/** The screen; `name` is the recognizer that is chosen first. */
export async function open(name, signal) {
  const say = words(WORDS);
  const models = await modelsOf("recognizer");
  if (!models.length) return [element("p", {}, say.none, " ", element("a", { href: "#/teach" }, say.teach))];
  const select = choice(models.map(model => model.name), { value: name });
  if (!models.some(model => model.name === name)) select.selectedIndex = 0;
  const status = statusLine();
  const answers = element("div", { className: "answers" });
  let turn = 0;

  async function recognise(files) {
    const mine = ++turn;
    const rows = new Array(files.length);
    let done = 0;
    let next = 0;
    const worker = async () => {
      while (next < files.length && mine === turn && !signal.aborted) {
        const i = next++;
        rows[i] = { ...(await predicted(select.value, files[i])), file: files[i] };
        status.say(say.looking(++done, files.length));
      }
    };
    status.say(say.looking(0, files.length));
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (mine !== turn || signal.aborted) return;
    status.say("");
    show(rows);
  }

  function show(rows) {
    const details = element("div");
    const show = row => details.replaceChildren(detail(say, select.value, row, status));
    show(rows[0]);
    const table = rows.length > 1 ? [overview(say, rows, show), csvButton(say, rows)] : [];
    answers.replaceChildren(details, ...table, sameBy(sameLines(select.value, rows)));
  }

  const camera = liveRecognition(() => select.value);
  signal.addEventListener("abort", camera.stop);
  onPaste(recognise, signal);
  return [field(say.model, select), dropPlace(say.drop, recognise), camera.element, status.line, answers];
}

/** A webcam with what the recognizer `model()` says of it beside the picture. */
export function liveRecognition(model) {
  const say = words(WORDS);
  return webcam(async ({ frame, isOn, show }) => {
    show(element("p", { className: "soft" }, say.first));
    while (isOn()) {
      const row = await predicted(model(), await frame());
      if (isOn()) show(verdict(row));
      await new Promise(resolve => setTimeout(resolve, LIVE_PAUSE));
    }
  });
}

/** What a recognizer says of a picture, or why the picture cannot be read. */
export async function predicted(model, file) {
  try {
    return await ask(path`models/${model}/predict`, { body: file, type: pictureType(file) });
  } catch (error) {
    return { error: error.message };
  }
}

/** The label and the likeliest classes as bars. */
export function verdict(row) {
  const say = words(WORDS);
  if (row.error) return element("p", { className: "wrong" }, row.error);
  const label = [row.label].flat().join(", ") || say.nothing;
  const likely = Object.entries(row.probabilities ?? {}).sort((a, b) => b[1] - a[1]).slice(0, SHOWN_LABELS);
  const bars = likely.map(([name, share]) => element("li", {},
    element("span", {}, name), element("span", {}, percent(share)), element("meter", { value: share, "aria-label": name })));
  const also = row.set?.length > 1 ? element("p", { className: "soft" }, say.set(row.set.join(", "))) : null;
  return element("div", {}, element("p", { className: "answer" }, row.unknown ? say.unknown(label) : label), also,
    element("ul", { className: "bars" }, bars));
}

function detail(say, model, row, status) {
  const picture = element("div", { className: "overlay" }, shown(row.file, row.file.name));
  const box = element("div", {}, verdict(row));
  if (!row.error) {
    box.append(action(say.why, async () => {
      const why = await ask(path`models/${model}/explain`, { body: row.file, type: pictureType(row.file) });
      picture.append(await heatmap(why.heatmap));
      box.append(element("p", { className: "soft" }, say.where(why.explained)));
      if (why.neighbours.length) box.append(element("p", { className: "soft" }, say.similar), await nearest(why.neighbours));
    }, status.fail));
  }
  return element("div", { className: "pair" }, picture, box);
}

/** The training pictures that are most similar; those of the server's own data sets are shown. */
async function nearest(neighbours) {
  const cells = await Promise.all(neighbours.map(async ({ path: file, label }) => {
    const [, dataset, place] = file.match(/^data\/([^/]+)\/(.+)$/) ?? [];
    const address = dataset && await thumbnailAddress(dataset, place).catch(() => null);
    return element("figure", {}, address && element("img", { src: address, alt: file }),
      element("figcaption", {}, address ? label : `${file} (${label})`));
  }));
  return element("div", { className: "grid" }, cells);
}

/** The evidence as a veil: clear where it is strong. */
async function heatmap(base64) {
  const grey = await createImageBitmap(pictureFile(base64, "heatmap.png"));
  const canvas = element("canvas", { width: grey.width, height: grey.height, role: "img", "aria-label": "heatmap" });
  const context = canvas.getContext("2d");
  context.drawImage(grey, 0, 0);
  const pixels = context.getImageData(0, 0, grey.width, grey.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const evidence = pixels.data[i];
    pixels.data.set([20, 24, 40, Math.round(0.65 * (255 - evidence))], i);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function overview(say, rows, show) {
  const head = ["picture", "file", "label", "confidence", "also"].map(name => element("th", { scope: "col" }, say[name]));
  const body = rows.map(row => {
    const label = row.error ?? (row.unknown ? say.unknown(row.label) : [row.label].flat().join(", "));
    const others = (row.set ?? []).filter(one => one !== row.label).join(", ");
    const button = element("button", { type: "button", onclick: () => show(row) }, row.file.name);
    const cells = [shown(row.file, ""), button, label, row.error ? "" : percent(row.confidence), others];
    return element("tr", {}, cells.map(cell => element("td", {}, cell)));
  });
  return element("div", { className: "scroll" }, element("h2", {}, say.all),
    element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
}

function csvButton(say, rows) {
  // As diptych.escaping.for_spreadsheet: text that a spreadsheet would compute begins with an apostrophe.
  const formula = /^'*(\s*[=+\-@＝＋－＠]|[\t\r\n])/, number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?$/i;
  const inert = value => (formula.test(value) && !number.test(value) ? `'${value}` : value);
  const quote = value => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const cell = value => quote(inert(value));
  return element("button", {
    type: "button",
    onclick() {
      const lines = rows.map(row => [row.file.name, [row.label ?? ""].flat().join("|"), row.confidence ?? "", row.unknown ?? "",
        (row.set ?? []).join("|"), row.error ?? ""].map(value => cell(String(value))).join(","));
      download(new Blob([["path,label,confidence,unknown,set,error", ...lines, ""].join("\n")], { type: "text/csv" }),
        "predictions.csv");
    },
  }, say.csv);
}

function sameLines(model, rows) {
  const names = rows.map(row => row.file.name).slice(0, 3);
  return {
    command: `diptych predict ${quoted(model)} ${names.map(quoted).join(" ")}`,
    python: `import diptych\n\nmodel = diptych.load(${JSON.stringify(model)})\nprint(model.predict(${JSON.stringify(names)}))`,
    curl: curl(path`models/${model}/predict`, "--data-binary", quoted(`@${names[0]}`), "-H", "'Content-Type: image/*'"),
  };
}
