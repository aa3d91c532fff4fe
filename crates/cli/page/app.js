// The page: joins the stream of views to the head and the tiers' cards.
import { fillList, setText } from "./dom.js";
import { createOverview, showFleet } from "./fleet.js";
import { span, timeOfDay } from "./format.js";
import { ViewStream, isOld } from "./stream.js";
import { createStripLegend } from "./strip.js";
import { TierCard } from "./tier.js";

/** As much as the controller's memory holds at a tick of a second. */
const HISTORY_SECONDS = 7_200;
const SHORTEST_WINDOW_US = 120e6;
const WINDOW_KEY = "evenkeel.window";

const cards = new Map();
const overview = createOverview();
let view = null;
let windowUs = 15 * 60e6;

const at = (id) => document.getElementById(id);

function takeView(newest) {
  view = newest;
  for (const tier of view.tiers) cardOf(tier.tier).take(tier, view.at_us);
  show();
}

function cardOf(name) {
  if (!cards.has(name)) cards.set(name, new TierCard(name));
  return cards.get(name);
}

function show() {
  if (view === null || document.hidden) return;
  showFleet(view);
  overview.fill(view);
  const shown = view.tiers.map(({ tier }) => cardOf(tier));
  fillList(at("tiers"), shown, { keyOf: ({ name }) => name, make: ({ node }) => node, fill: () => {} });
  const fromUs = shownFrom(shown);
  for (const card of shown) card.show(fromUs, view.at_us);
}

/** The chosen time, but no longer than there is something to show: a young fleet's charts are not mostly empty. */
function shownFrom(shown) {
  const oldest = Math.min(...shown.map((card) => card.oldestUs() ?? view.at_us));
  return Math.max(view.at_us - windowUs, Math.min(oldest, view.at_us - SHORTEST_WINDOW_US));
}

/** What the controller remembers: at the start, and again after the stream was lost. */
async function loadHistory() {
  try {
    const response = await fetch(`v1/history?seconds=${HISTORY_SECONDS}`);
    if (!response.ok) return;
    const { tiers } = await response.json();
    for (const { tier, points } of tiers) cardOf(tier).addHistory(points);
    for (const card of cards.values()) card.reloadLog();
    show();
  } catch {
    // The banner tells that the controller does not answer; the next stream that opens asks again.
  }
}

function tellTrust({ lost, silentMs }) {
  const tickUs = cards.values().next().value?.tickUs() ?? 1e6;
  const old = silentMs !== null && isOld(silentMs, tickUs);
  const trouble = troubleInWords(lost, old);
  // What grows each second stands apart, so that a screen reader tells the trouble once.
  setText(at("trouble"), trouble);
  setText(at("age"), trouble && view !== null ? ageInWords(silentMs) : "");
  at("banner").hidden = trouble === "";
  document.body.classList.toggle("distrusted", trouble !== "" && view !== null);
}

function troubleInWords(lost, old) {
  if (view === null) return lost && performance.now() > 3_000 ? "The controller does not answer. Trying again." : "";
  if (lost) return "Connection to the controller lost. Trying again.";
  return old ? "The data is old: no new tick comes." : "";
}

function ageInWords(silentMs) {
  return ` Everything below is of ${timeOfDay(view.at_us)}, ${span(Math.round(silentMs / 1e3) * 1e6)} ago.`;
}

function chooseWindow(minutes) {
  windowUs = minutes * 60e6;
  for (const button of at("window").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.minutes) === minutes));
  }
}

function storedWindow() {
  try {
    return Number(localStorage.getItem(WINDOW_KEY));
  } catch {
    return 0;
  }
}

function storeWindow(minutes) {
  try {
    localStorage.setItem(WINDOW_KEY, String(minutes));
  } catch {
    // A browser that stores nothing still shows everything.
  }
}

at("window").addEventListener("click", ({ target }) => {
  const minutes = Number(target.dataset.minutes);
  if (!minutes) return;
  chooseWindow(minutes);
  storeWindow(minutes);
  show();
});

chooseWindow([5, 15, 60, 120].find((minutes) => minutes === storedWindow()) ?? 15);
at("overview").append(overview.node);
at("legend").append(createStripLegend());
setText(at("zone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
document.addEventListener("visibilitychange", show);
new ViewStream("v1/state/stream", { onView: takeView, onOpen: loadHistory, onTrust: tellTrust });
