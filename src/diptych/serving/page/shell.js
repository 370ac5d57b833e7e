// The frame of the page: which screen is open, the language, and the token where the server asks for one.

import { element } from "./parts/elements.js";
import { language, switchLanguage, words } from "./parts/language.js";
import { setToken, takeToken } from "./parts/server.js";

const SCREENS = ["teach", "recognise", "make", "match", "data", "map", "trust", "verify", "reports"];
const WORDS = {
  teach: ["Teach", "教"],
  recognise: ["Recognise", "识别"],
  make: ["Make", "生成"],
  match: ["Match", "比对"],
  data: ["Data", "数据"],
  map: ["Map", "地图"],
  trust: ["Trust", "可信"],
  verify: ["Verify", "验证"],
  reports: ["Models", "模型"],
  screens: ["Screens", "各页面"],
  other: ["中文", "English"],
  skip: ["To the content", "跳到正文"],
  token: ["The token that the server printed when it started", "服务器启动时显示的令牌"],
  send: ["Continue", "继续"],
  failed: ["This screen could not be opened: ", "无法打开此页面："],
};
const PURPOSES = {
  teach: ["Give each class some pictures, then train. Fifty of each are plenty to begin with.", "给每个类别一些图片，然后训练。开始时每类五十张就足够。"],
  recognise: ["See what a recognizer says of your pictures, or live of what the webcam sees.", "看看识别模型怎样回答你的图片，或实时识别摄像头画面。"],
  make: ["A synthesizer learns from pictures and makes new ones like them.", "生成模型从图片中学习，并生成类似的新图片。"],
  match: ["Find the pictures of a gallery that are most like a new one: who or what is it?", "在图库中找出与新图片最相似的图片：它是谁或是什么？"],
  data: ["Look through a set of pictures, and mend wrong labels and bad pictures.", "浏览图片数据集，改正错误的标签，处理有问题的图片。"],
  map: ["Every picture is a point, and pictures that are alike lie near each other.", "每张图片是一个点，相似的图片彼此靠近。"],
  trust: ["Put a model to the test before you rely on it.", "在依赖一个模型之前，先检验它。"],
  verify: ["Was a picture generated, by which model, and was it changed since?", "图片是否由模型生成？由哪个模型？此后是否被更改？"],
  reports: ["Everything that was trained here: use it, read its report, compare it with others.", "在此训练的全部模型：使用、查看报告、相互比较。"],
};
const part = id => document.getElementById(id);
let leave = new AbortController();

/** Close the screen that is open, and open the one of the address. */
async function openScreen() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [name, ...rest] = decodeURIComponent(location.hash.replace(/^#\/?/, "")).split("/");
  const screen = SCREENS.includes(name) ? name : SCREENS[0];
  const say = words(WORDS);
  for (const link of part("screens").children) {
    link.removeAttribute("aria-current");
    if (link.dataset.screen === screen) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  document.title = `${say[screen]} · Diptych`;
  const main = part("main");
  main.replaceChildren(element("h1", {}, say[screen]), element("p", { className: "soft" }, words(PURPOSES)[screen]));
  try {
    const { open } = await import(`./screens/${screen}.js`);
    const content = await open(rest.join("/"), signal);
    if (!signal.aborted) main.append(...[content].flat(Infinity));
  } catch (error) {
    if (signal.aborted) return;
    main.append(element("p", { className: "wrong" }, say.failed + error.message));
  }
}

/** Everything outside of the screens, in the language in use. */
function showFrame() {
  const say = words(WORDS);
  document.documentElement.lang = language();
  const links = SCREENS.map(name => element("a", { href: `#/${name}` }, say[name]));
  links.forEach((link, i) => (link.dataset.screen = SCREENS[i]));
  part("screens").replaceChildren(...links);
  part("screens").setAttribute("aria-label", say.screens);
  part("language").textContent = say.other;
  part("language").lang = language() === "en" ? "zh-CN" : "en";
  part("skip").textContent = say.skip;
  part("token-label").textContent = say.token;
  part("token-send").textContent = say.send;
}

takeToken();
showFrame();
addEventListener("hashchange", () => {
  takeToken();
  openScreen();
});
addEventListener("token-needed", () => {
  part("access").hidden = false;
  part("token").focus();
});
part("access").addEventListener("submit", event => {
  event.preventDefault();
  setToken(part("token").value);
  part("access").hidden = true;
  openScreen();
});
part("language").addEventListener("click", () => {
  switchLanguage();
  showFrame();
  openScreen();
});
part("skip").addEventListener("click", event => {
  event.preventDefault();
  part("main").focus();
});
for (const kind of ["dragover", "drop"]) addEventListener(kind, event => event.preventDefault()); // beside a drop place
openScreen();
