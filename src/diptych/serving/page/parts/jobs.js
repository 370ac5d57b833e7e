// Long work on the server: started, followed as it goes, and found again after the page was closed.

import { percent, words } from "./language.js";
import { ask, path, request } from "./server.js";

const PAUSE = 1000; // ms between two tries to follow
const SECOND = 1000; // ms
const WORDS = {
  waiting: ["It waits until earlier work on the server has ended; Models shows that work.", "正在等待服务器先前的任务结束；可在“模型”页面查看。"],
  seconds: [n => `${n} s`, n => `${n} 秒`],
};

/** Start a job; its record. */
export function startJob(verb, options) {
  return ask("jobs", { json: { verb, options } });
}

/** The jobs that wait or run, and of these `verb` only where one is given. */
export async function unfinishedJobs(verb) {
  const { jobs } = await ask("jobs");
  return jobs.filter(job => ["waiting", "running"].includes(job.state) && (!verb || job.verb === verb));
}

/**
 * Follow a job to its end; an Error with its sentence where it fails.
 *
 * @param status the line that tells of its waiting, its progress and what it prints
 * @param {AbortSignal} signal ends the following, and not the job
 * @param {(tick) => void} tick is told each measure of a training
 * @returns the job with its result and files
 */
export async function followJob(id, status, signal, tick) {
  const { started } = await ask(path`jobs/${id}`, { signal });
  const shown = shownProgress(status, started && SECOND * started);
  const listeners = { ...shown.listeners, tick: data => (shown.listeners.tick(data), tick?.(data)) };
  let last = 0;
  try {
    for (;;) {
      try {
        last = await readEvents(id, last, listeners, signal);
      } catch (error) {
        if (signal?.aborted) throw error;
      }
      const job = await ask(path`jobs/${id}`, { signal });
      if (!["waiting", "running"].includes(job.state)) {
        if (job.state !== "done") throw new Error(job.message || job.state);
        status.log(null); // of use only where it failed
        return job;
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
  } finally {
    shown.end();
  }
}

/** Listeners that keep a status line up to date, and the end of that; `started` in ms where the job already runs. */
function shownProgress(status, started) {
  const say = words(WORDS);
  let done = "";
  const clock = setInterval(() => started && status.note(done + say.seconds(Math.max(0, Math.round((Date.now() - started) / SECOND)))), SECOND);
  status.log(null);
  return {
    listeners: {
      state({ state }) {
        if (state === "waiting") status.note(say.waiting);
        else started ||= Date.now();
      },
      tick: ({ progress }) => (done = progress > 0 ? `${percent(Math.min(1, progress), 0)} · ` : ""),
      log: status.log,
    },
    end() {
      clearInterval(clock);
      status.note("");
    },
  };
}

/** Read server-sent events until the stream ends; the id of the last one. `fetch` sends the token, EventSource cannot. */
async function readEvents(id, last, listeners, signal) {
  const answer = await request(path`jobs/${id}/events`, { signal, headers: { "Last-Event-ID": last } });
  if (answer.status === 204) return last;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return last;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map(line => line.split(/: (.*)/s).slice(0, 2)));
      if (!fields.event) continue;
      last = Number(fields.id);
      listeners[fields.event]?.(JSON.parse(fields.data));
    }
  }
}
