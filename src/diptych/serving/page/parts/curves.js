// Losses and scores of a training as it goes; plotly draws them in the document that may do so.

import { element } from "./elements.js";
import { words } from "./language.js";

const WORDS = { title: ["Losses and scores as the training goes on", "训练过程中的损失与得分"] };

/** A frame that appears with the first tick; `add` takes the ticks of a job. */
export function curves() {
  const frame = element("iframe", { className: "curves", title: words(WORDS).title, hidden: true, src: "page/plot.html" });
  const loaded = new Promise(resolve => frame.addEventListener("load", resolve, { once: true }));
  const ticks = [];
  return {
    element: frame,
    async add(tick) {
      ticks.push(tick);
      frame.hidden = false;
      await loaded;
      await frame.contentWindow.drawCurves(ticks);
    },
  };
}
