// What the page asks the server, and nobody else.

const TOKEN = "token";

/** Take the token out of the page's address, where the server printed it. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get(TOKEN);
  if (!given) return;
  setToken(given);
  history.replaceState(null, "", location.pathname);
}

/** Send this token with every request from now on. */
export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** The response to a request; an Error with the server's sentence where it refuses. */
export async function request(path, { json, body, type, headers: given, ...options } = {}) {
  const headers = { ...given };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json !== undefined) [body, type] = [JSON.stringify(json), "application/json"];
  if (type) headers["Content-Type"] = type;
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  const answer = await fetch(path, { ...options, method, body, headers });
  if (answer.ok) return answer;
  if (answer.status === 401) dispatchEvent(new Event("token-needed"));
  const value = await answer.json().catch(() => ({}));
  const error = new Error(value.error?.message ?? `The server answered ${answer.status}.`);
  error.code = value.error?.code;
  throw error;
}

/** The JSON that a request is answered with. */
export async function ask(path, options) {
  return (await request(path, options)).json();
}

/** A path with the names in it made safe: path`models/${name}/predict`. */
export function path(parts, ...names) {
  return String.raw({ raw: parts }, ...names.map(encodeURIComponent));
}

/** The content type of a picture that a person chose. */
export function pictureType(file) {
  return file.type.startsWith("image/") ? file.type : "application/octet-stream";
}

/** A file behind the token, as an address for an image or a download. */
export async function fileAddress(filePath) {
  return URL.createObjectURL(await (await request(filePath)).blob());
}

/** A small version of a data set's picture, as an address for an image. */
export function thumbnailAddress(dataset, picture, side = 160) {
  const place = picture.split("/").map(encodeURIComponent).join("/");
  return fileAddress(`${path`datasets/${dataset}/thumbnails`}/${place}?side=${side}`);
}

/** The models of the server that can be used, of these kinds. */
export async function modelsOf(...kinds) {
  const { models } = await ask("models");
  return models.filter(model => !model.error && kinds.includes(model.kind));
}
