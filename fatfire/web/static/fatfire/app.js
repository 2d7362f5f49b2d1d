"use strict";

// A chart that the server drew: reading its values by pointer and by keyboard.
function readable(chart) {
  if (chart.dataset.ready) return;
  chart.dataset.ready = "yes";
  const points = JSON.parse(document.getElementById("chart-points").textContent);
  const estimated = new Set(points.estimated);
  const last = points.days.length - 1;
  const plot = chart.querySelector(".plot");
  const cross = chart.querySelector(".cross");
  const tip = chart.querySelector(".tip");
  const dots = [...chart.querySelectorAll(".dot")];
  const say = chart.querySelector("[data-say]");
  let at = last;

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function show(index, aloud) {
    at = Math.max(0, Math.min(last, index));
    const x = points.x[at] / 100 * plot.clientWidth;
    const day = points.days[at] + (estimated.has(at) ? " (estimated)" : "");
    cross.hidden = tip.hidden = false;
    cross.style.transform = `translateX(${x}px)`;
    tip.replaceChildren(element("p", "", day));
    points.lines.forEach((line, number) => {
      dots[number].hidden = false;
      dots[number].style.transform = `translate(${x}px, ${line.y[at] / 100 * plot.clientHeight}px)`;
      const row = element("div", "tip-row", "");
      row.append(element("span", `key ${line.key}`, ""), element("span", "", line.label), element("b", "", line.texts[at]));
      tip.append(row);
    });
    const left = x + 16 + tip.offsetWidth > plot.clientWidth ? x - tip.offsetWidth - 16 : x + 16;
    tip.style.transform = `translate(${Math.max(0, left)}px, 8px)`;
    if (aloud) say.textContent = `${day}: ${points.lines.map(line => `${line.label} ${line.texts[at]}`).join(", ")}`;
  }

  function hide() {
    [cross, tip, ...dots].forEach(each => { each.hidden = true; });
  }

  function nearest(percent) {
    let low = 0, high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points.x[middle] < percent) low = middle; else high = middle;
    }
    return percent - points.x[low] < points.x[high] - percent ? low : high;
  }

  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect();
    show(nearest((event.clientX - box.left) / box.width * 100), false);
  });
  plot.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -last, End: last }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(at + step, true);
  });
}

function readableCharts() {
  document.querySelectorAll("[data-chart]").forEach(readable);
}

// The server knows currencies by their codes; the browser has their names.
function nameCurrencies() {
  const names = new Intl.DisplayNames("en", { type: "currency" });
  document.querySelectorAll("[data-currency]").forEach(each => {
    const name = names.of(each.dataset.currency);
    each.textContent = each.textContent ? `${name} · ${each.textContent}` : name;
  });
}

function markTheme() {
  const chosen = document.documentElement.dataset.theme || "";
  document.querySelectorAll("[data-theme-choice]").forEach(button => {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  });
}

function chooseTheme(theme) {
  if (theme) {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
  } else {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  }
  markTheme();
}

// What went well leaves by itself, though not while someone reads it; what went wrong stays until it is dismissed.
function leaveLater(said) {
  if (said.dataset.leaves) return;
  said.dataset.leaves = "yes";
  let timer;
  const reconsider = () => {
    clearTimeout(timer);
    if (!said.matches(":hover, :focus-within")) timer = setTimeout(() => said.remove(), 8000);
  };
  for (const moved of ["pointerenter", "pointerleave", "focusin"]) said.addEventListener(moved, reconsider);
  said.addEventListener("focusout", () => setTimeout(reconsider));
  reconsider();
}

// Where the server can say that a job has changed, what shows it asks at once, and otherwise rarely; where it can't,
// each asks by itself, as often as its trigger says. A connection needs a fresh ticket each time.
const LIVE = { open: false, wanted: false, askedAt: {}, asking: {}, missed: {} };
const PATIENCE = 15000, SETTLED = 100;

async function listen(pause) {
  const later = () => setTimeout(listen, pause, Math.min(pause * 2, 60000));
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  const answer = await fetch(document.body.dataset.live, { method: "POST", headers, redirect: "error" }).catch(() => null);
  if (!answer || answer.status >= 500) return later();
  if (!answer.ok) return;
  const socket = new WebSocket((await answer.json()).url);
  socket.addEventListener("open", () => { LIVE.open = true; pause = 1000; });
  socket.addEventListener("close", () => { LIVE.open = false; later(); });
  socket.addEventListener("message", event => {
    const { job } = JSON.parse(event.data);
    if (LIVE.asking[job]) LIVE.missed[job] = true;
    else askFor(job);
  });
}

function askFor(job) {
  document.querySelectorAll("[data-job]").forEach(each => { if (each.dataset.job === job) htmx.trigger(each, "nudge"); });
}

// What changed while the answer was on its way may not be in it; what asks next is what the answer put there.
function askedFor(event) {
  const { job } = event.detail.requestConfig.elt.dataset;
  if (!job) return;
  setTimeout(() => {
    LIVE.asking[job] = false;
    if (LIVE.missed[job]) askFor(job);
    LIVE.missed[job] = false;
  }, SETTLED);
}

function listenWhereJobsRun() {
  if (LIVE.wanted || !document.body.dataset.live || !document.querySelector("[data-job]")) return;
  LIVE.wanted = true;
  listen(1000);
}

function askRarely(event) {
  const { job } = event.detail.elt.dataset;
  if (!job) return;
  const polls = !event.detail.requestConfig.triggeringEvent;
  if (polls && LIVE.open && Date.now() - (LIVE.askedAt[job] || 0) < PATIENCE) event.preventDefault();
  else {
    LIVE.askedAt[job] = Date.now();
    LIVE.asking[job] = true;
  }
}

function prepare() {
  readableCharts();
  listenWhereJobsRun();
  document.querySelectorAll("[data-leaves]").forEach(leaveLater);
}

prepare();
nameCurrencies();
markTheme();
document.body.addEventListener("htmx:afterSettle", prepare);
document.body.addEventListener("htmx:beforeRequest", askRarely);
document.body.addEventListener("htmx:afterRequest", askedFor);
document.addEventListener("click", event => {
  const choice = event.target.closest("[data-theme-choice]");
  if (choice) chooseTheme(choice.dataset.themeChoice);
  if (event.target.closest("[data-close]")) event.target.closest(".toast").remove();
  document.querySelectorAll("details.menu[open]").forEach(menu => {
    if (choice || !menu.contains(event.target)) menu.open = false;
  });
});
document.addEventListener("submit", event => {
  // What htmx has put into the address since the page was loaded is kept.
  if (event.target.matches("[data-here]")) event.target.elements.next.value = location.pathname + location.search;
});
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  document.querySelectorAll("details.menu[open]").forEach(menu => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});
