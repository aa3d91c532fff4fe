// The head of the page: the fleet as a whole, what is wrong with it, and a line for each tier.
import { element, fillList, row, setAttribute, setText, table } from "./dom.js";
import { NO_DATA, counted, figure, fixed, fullMoment, moment, percent, span, timeOfDay } from "./format.js";
import { kindOf, reasonInWords } from "./reasons.js";
import { freshValue } from "./reading.js";

const MODES = {
  act: "decides and acts",
  advise: "decides and publishes, touches nothing",
  observe: "decides and journals, tells no one, touches nothing",
};

const STOPPING = {
  draining: "The fleet is being stopped: replicas finish what they have and get nothing new.",
  drained: "The fleet is being stopped: every replica is empty.",
};

/** Fills the elements of the head that index.html holds. */
export function showFleet(view) {
  const at = (id) => document.getElementById(id);
  document.title = `${view.fleet} \u00b7 Evenkeel`;
  setText(at("fleet"), view.fleet);
  setText(at("mode"), view.mode);
  setAttribute(at("mode"), "class", `badge mode-${view.mode}`);
  setAttribute(at("mode"), "title", MODES[view.mode] ?? null);
  setText(at("cost"), `${fixed(view.cost_usd_per_hour, 2)} USD/h`);
  setText(at("tick"), timeOfDay(view.at_us));
  setAttribute(at("tick"), "title", fullMoment(view.at_us));
  setText(at("journal"), journalInWords(view.journal));
  setAttribute(at("journal"), "class", view.journal.writable ? null : "bad");
  setText(at("sources"), sourcesInWords(view.sources));
  setAttribute(at("sources"), "class", view.sources.some(({ problem }) => problem) ? "bad" : null);
  setText(at("routes"), routesInWords(view));
  setAttribute(at("routes"), "class", view.gateway_applied === null ? "missing" : null);
  fillList(at("notices"), noticesOf(view), {
    keyOf: ({ key }) => key,
    make: () => element("li"),
    fill: (item, { text }) => setText(item, text),
  });
}

function journalInWords({ writable, ticks_written, ticks_lost }) {
  const lost = ticks_lost > 0 ? `, ${figure(ticks_lost, 0)} lost` : "";
  return `${writable ? "writable" : "not writable"}, ${counted(ticks_written, "tick")}${lost}`;
}

function sourcesInWords(sources) {
  const bad = sources.filter(({ problem }) => problem).length;
  return bad === 0 ? `${sources.length} well` : `${bad} of ${sources.length} with a problem`;
}

function routesInWords({ routes, gateway_applied: applied }) {
  const version = ({ epoch, number }) => `${epoch}.${number}`;
  if (applied === null) return `${version(routes)}, gateway: ${NO_DATA}`;
  const same = applied.epoch === routes.epoch && applied.number === routes.number;
  return same ? `${version(routes)}, applied` : `${version(routes)}, gateway at ${version(applied)}`;
}

/** What a person should know before believing the rest, each in a sentence. */
function noticesOf(view) {
  const notices = [];
  const add = (key, text) => notices.push({ key, text });
  if (!view.holds_fleet) add("holder", "Another controller holds this fleet; this one only observes.");
  if (view.mode !== view.mode_in_file) add("mode", `Mode ${view.mode} is in force; the fleet file says ${view.mode_in_file}.`);
  if (view.reload_refused) add("reload", `The fleet file was changed and is not in force: ${view.reload_refused}`);
  if (view.paused_until_us !== null && view.paused_until_us > view.at_us) {
    const left = span(view.paused_until_us - view.at_us);
    add("paused", `Paused until ${moment(view.paused_until_us, view.at_us)} (${left}): it decides and takes no action.`);
  }
  if (view.stopping) add("stopping", STOPPING[view.stopping]);
  addJournalNotices(view, add);
  for (const { tier, replica } of view.strays) {
    const text = `Replica ${replica} runs on, but the fleet file has no tier ${tier}: put it back or stop the fleet.`;
    add(`stray ${replica}`, text);
  }
  for (const { name, problem } of view.sources) if (problem) add(`source ${name}`, `Source ${name}: ${problem}`);
  return notices;
}

function addJournalNotices({ holds_fleet: holds, journal }, add) {
  if (!holds) return;
  const cause = journal.problem ?? "no cause given";
  if (!journal.writable) add("journal", `The journal cannot be written, so nothing shrinks: ${cause}`);
  else if (journal.problem) add("journal", `The journal had a problem: ${journal.problem}`);
  const waiting = journal.orders_not_written;
  if (waiting > 0) add("orders", `A restart forgets ${counted(waiting, "operator's order")}: not on disk yet.`);
}

/** The line of each tier, with a link to its card. */
export function createOverview() {
  const number = true;
  const { node, body } = table("The tiers", [
    { text: "tier" },
    { text: "decision" },
    { text: "demand", number, title: "In replicas" },
    { text: "ready", number },
    { text: "starting", number },
    { text: "desired", number },
    { text: "requests/s", number },
    { text: "queue", number },
    { text: "attained", number, title: "Objective attainment since the controller's start" },
    { text: "USD/h", number },
  ]);
  const fill = (view) =>
    fillList(body, view.tiers, {
      keyOf: ({ tier }) => tier,
      make: ({ tier }) => {
        const line = row("", "", ...Array(8).fill("number"));
        line.children[0].append(element("a", { href: `#tier-${encodeURIComponent(tier)}` }, tier));
        line.children[1].append(element("span", { class: "badge" }));
        return line;
      },
      fill: fillLine,
    });
  return { node, fill };
}

function fillLine(line, tier) {
  const { reason, supply, desired } = tier.decision;
  const kind = kindOf(reason);
  const badge = line.children[1].firstChild;
  setText(badge, `${kind.sign} ${reasonInWords(reason)}`);
  setAttribute(badge, "class", `badge ${kind.name}`);
  const texts = [
    fixed(tier.demand_replicas, 2),
    figure(supply.ready, 0),
    figure(supply.starting, 0),
    figure(desired, 0),
    figure(tier.requests_per_second, 1),
    figure(freshValue(tier.signals.queue_depth), 0),
    percent(tier.objective_attainment_share, 2),
    fixed(tier.cost_usd_per_hour, 2),
  ];
  texts.forEach((text, index) => {
    const cell = line.children[index + 2];
    setText(cell, text);
    setAttribute(cell, "class", text === NO_DATA ? "number missing" : "number");
  });
}
