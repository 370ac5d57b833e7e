// Verify: was a picture generated, by which model, and was it changed since?

import { curl, quoted, sameBy } from "../parts/commands.js";
import { element, statusLine } from "../parts/elements.js";
import { words } from "../parts/language.js";
import { dropPlace, shown } from "../parts/pictures.js";
import { verification, verified } from "../parts/verification.js";

const WORDS = {
  drop: ["Choose or drop pictures, as you received them", "选择或拖入图片，须是收到时的原文件"],
  about: ["A picture that was copied from another window, saved again or photographed from a screen has lost its mark.",
    "从其他窗口复制、重新保存或翻拍屏幕的图片已失去标记。"],
  reading: [(done, all) => `${done} of ${all} pictures`, (done, all) => `${all} 张中的 ${done} 张`],
};

/** The screen. */
export async function open(_, signal) {
  const say = words(WORDS);
  const status = statusLine();
  const answers = element("div", { className: "answers" });
  let turn = 0;

  async function verify(files) {
    const mine = ++turn;
    answers.replaceChildren();
    for (const [done, file] of files.entries()) {
      status.say(say.reading(done, files.length));
      const row = await told(file);
      if (mine !== turn || signal.aborted) return;
      answers.append(element("div", { className: "pair card" }, shown(file, file.name), element("div", {}, element("h2", {}, file.name), row)));
    }
    status.say("");
    answers.append(sameBy(sameLines(files.map(file => file.name))));
  }

  async function told(file) {
    try {
      return verification(await verified(file, signal));
    } catch (error) {
      return element("p", { className: "wrong" }, error.message);
    }
  }

  return [dropPlace(say.drop, verify), element("p", { className: "soft" }, say.about), status.line, answers];
}

function sameLines(names) {
  return {
    command: `diptych verify ${names.slice(0, 3).map(quoted).join(" ")}`,
    python: `import diptych\n\nprint(diptych.verify(${JSON.stringify(names[0])}))`,
    curl: curl("verify", "--data-binary", quoted(`@${names[0]}`), "-H", "'Content-Type: image/*'"),
  };
}
