// Pictures of a person on their way into a data set of the server.

import { words } from "./language.js";
import { ask, path, pictureType, request } from "./server.js";

const AT_ONCE = 4; // uploads on their way
const WORDS = {
  uploading: [(done, all) => `Sending pictures: ${done} of ${all}`, (done, all) => `正在发送图片：${all} 张中的 ${done} 张`],
  refused: [(file, why) => `${file} was not taken: ${why}`, (file, why) => `未接受 ${file}：${why}`],
};

/**
 * Send pictures to a data set, which is made if it is not there.
 *
 * @param {{label: string, files: File[]}[]} classes
 * @returns the sentences of those that were not taken
 */
export async function upload(dataset, classes, status) {
  const say = words(WORDS);
  await ask("datasets", { json: { name: dataset } }).catch(error => {
    if (error.code !== "name_taken") throw error;
  });
  const waiting = classes.flatMap(({ label, files }) => files.map((file, i) => ({ label, file, name: fileName(file, i) })));
  const all = waiting.length;
  const problems = [];
  let done = 0;
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      const place = path`datasets/${dataset}/pictures/${one.label}/${one.name}`;
      try {
        await request(place, { method: "PUT", body: one.file, type: pictureType(one.file) });
      } catch (error) {
        if (error.code !== "name_taken") problems.push(say.refused(one.file.name, error.message));
      }
      status.say(say.uploading(++done, all));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return problems;
}

/** `stem`-1, or the next number that no name has. */
export function freeName(stem, taken) {
  let number = 1;
  while (taken.has(`${stem}-${number}`)) number += 1;
  return `${stem}-${number}`;
}

/** The names of all models and data sets. */
export async function takenNames() {
  const [{ models, unfinished }, { datasets }] = await Promise.all([ask("models"), ask("datasets")]);
  return new Set([...models, ...unfinished, ...datasets].map(one => one.name));
}

/** A name that the server takes, and that no other picture of the class has. */
function fileName(file, i) {
  const [, stem, suffix] = file.name.match(/^(.*?)(\.\w+)?$/);
  const plain = stem.replace(/[^\p{L}\p{N} _-]/gu, "_").replace(/^[ _-]+/, "").slice(0, 60);
  return `${String(i + 1).padStart(4, "0")} ${plain}`.trim() + (suffix ?? ".jpg");
}
