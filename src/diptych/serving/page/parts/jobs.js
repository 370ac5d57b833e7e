// Long work on the server: started, followed as it goes, and found again after the page was closed.

import { ask, path, request } from "./server.js";

const PAUSE = 1000; // ms between two tries to follow

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
 * @param {{tick?, log?, state?}} listeners called with the data of each event
 * @param {AbortSignal} signal ends the following, and not the job
 * @returns the job with its result and files
 */
export async function followJob(id, listeners, signal) {
  let last = 0;
  for (;;) {
    try {
      last = await readEvents(id, last, listeners, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
    }
    const job = await ask(path`jobs/${id}`, { signal });
    if (!["waiting", "running"].includes(job.state)) {
      if (job.state !== "done") throw new Error(job.message || job.state);
      return job;
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE));
  }
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
