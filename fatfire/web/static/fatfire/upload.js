"use strict";

// Sends a file in parts, straight to the storage. The server says each time which parts are missing: so whatever
// happened before (a pause, a lost connection, another day), the same file goes on from there.
(() => {
  const card = document.querySelector("[data-upload]");
  const form = card?.querySelector("[data-file]");
  if (!form) return;
  const input = form.elements.file;
  const sending = card.querySelector("[data-sending]");
  const bar = sending.querySelector("progress");
  const said = sending.querySelector("[data-said]");
  const pause = sending.querySelector("[data-pause]");
  const finish = card.querySelector("[data-complete]");
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  const ATONCE = 3, TRIES = 6;
  const under = new Map(); // a request that is under way -> bytes that it has sent
  let paused = false, received = 0, size = 1;

  class Refused extends Error {}
  const wait = seconds => new Promise(done => setTimeout(done, seconds * 1000));

  function show() {
    const sent = received + [...under.values()].reduce((sum, each) => sum + each, 0);
    const percent = Math.min(100, Math.floor(sent / size * 100));
    bar.value = percent;
    if (said.dataset.percent !== String(percent)) {
      said.dataset.percent = percent;
      said.textContent = `${percent} % of ${input.files[0].name} is sent.`;
    }
  }

  async function missing(file) {
    const asked = new FormData();
    asked.append("file_name", file.name);
    asked.append("size", file.size);
    const answer = await fetch(card.dataset.upload, { method: "POST", headers, body: asked });
    const told = await answer.json();
    if (answer.status >= 400 && answer.status < 500) throw new Refused(told.error);
    if (!answer.ok) throw new Error(told.error);
    return told;
  }

  function put(part, file) {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      const end = (settle, value) => { under.delete(request); settle(value); };
      request.upload.addEventListener("progress", event => { under.set(request, event.loaded); show(); });
      request.addEventListener("load", () => {
        if (request.status < 300) {
          received += part.size;
          end(done);
        } else {
          end(failed, new Error(`The storage answered ${request.status}.`));
        }
        show();
      });
      request.addEventListener("error", () => end(failed, new Error("The connection was lost.")));
      request.addEventListener("abort", () => end(failed, new Error("Paused.")));
      request.open("PUT", part.url);
      under.set(request, 0);
      request.send(file.slice(part.start, part.start + part.size));
    });
  }

  async function sendAll(parts, file) {
    const left = [...parts];
    const worker = async () => { while (left.length && !paused) await put(left.shift(), file); };
    const ends = await Promise.allSettled(Array.from({ length: ATONCE }, worker));
    const failed = ends.find(each => each.status === "rejected");
    if (failed) throw failed.reason;
  }

  async function upload(file) {
    let tries = 0;
    while (!paused) {
      try {
        const told = await missing(file);
        ({ received, size } = told);
        show();
        if (!told.parts.length) return true;
        await sendAll(told.parts, file);
        tries = 0;
      } catch (error) {
        if (paused) break;
        if (error instanceof Refused || ++tries >= TRIES) throw error;
        said.textContent = `${error.message} Trying again.`;
        delete said.dataset.percent;
        await wait(2 ** tries / 2);
      }
    }
    return false;
  }

  const warn = event => event.preventDefault();

  async function run() {
    paused = false;
    form.hidden = true;
    sending.hidden = false;
    pause.textContent = "Pause";
    addEventListener("beforeunload", warn);
    try {
      const isWhole = await upload(input.files[0]);
      removeEventListener("beforeunload", warn);
      if (isWhole) finish.submit();
    } catch (error) {
      removeEventListener("beforeunload", warn);
      said.textContent = error.message;
      pause.textContent = "Try again";
      paused = true;
      if (error instanceof Refused) form.hidden = false;
      pause.hidden = error instanceof Refused;
    }
  }

  form.addEventListener("submit", event => {
    event.preventDefault();
    pause.hidden = false;
    run();
  });
  pause.addEventListener("click", () => {
    if (paused) { run(); return; }
    paused = true;
    under.forEach((_, request) => request.abort());
    said.textContent = "Paused. What is sent is kept.";
    delete said.dataset.percent;
    pause.textContent = "Go on";
    removeEventListener("beforeunload", warn);
  });
})();
