// The webcam: it starts only by a press, shows that it is on, and ends with the screen.

import { element } from "./elements.js";
import { words } from "./language.js";

const WORDS = {
  start: ["Start the webcam", "打开摄像头"],
  stop: ["Stop the webcam", "关闭摄像头"],
  on: ["The webcam is on; its pictures go to this server only.", "摄像头已打开；画面只发送到本服务器。"],
  none: ["The browser gives no webcam: ", "浏览器无法使用摄像头："],
  view: ["What the webcam sees", "摄像头画面"],
};

/**
 * A button and, while it is on, the picture of the webcam.
 *
 * @param {(camera: {frame: () => Promise<File>, isOn: () => boolean, show: (...content) => void}) => void} started
 *   called once it is on; `show` puts something beside its picture
 * @returns the element, and `stop`
 */
export function webcam(started) {
  const say = words(WORDS);
  const video = element("video", { muted: true, playsInline: true, hidden: true, "aria-label": say.view });
  const said = element("div", { role: "status" });
  const note = element("p", { className: "soft", role: "status" });
  const button = element("button", { type: "button" }, say.start);
  let stream = null;

  function stop() {
    stream?.getTracks().forEach(track => track.stop());
    stream = null;
    video.hidden = true;
    said.replaceChildren();
    note.textContent = "";
    button.textContent = say.start;
  }

  async function start() {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    } catch (error) {
      note.textContent = say.none + error.message;
      return;
    }
    video.srcObject = stream;
    video.hidden = false;
    note.textContent = say.on;
    button.textContent = say.stop;
    await video.play();
    started({ frame: () => frameOf(video), isOn: () => stream !== null, show: (...content) => said.replaceChildren(...content) });
  }

  button.addEventListener("click", () => (stream ? stop() : start()));
  return { element: element("div", { className: "webcam" }, button, note, element("div", { className: "pair" }, video, said)), stop };
}

/** What the webcam sees now, a JPEG. */
async function frameOf(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  return new File([blob], `webcam-${Date.now()}.jpg`, { type: "image/jpeg" });
}
