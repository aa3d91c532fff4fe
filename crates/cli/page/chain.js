// What each policy recommended, which one won, and how the guards turned its count into the desired one. Used for the
// present decision and for each one of the log.
import { element, fillList, row, setAttribute, setText, table } from "./dom.js";
import { NO_DATA, figure, words } from "./format.js";

/** The table of recommendations of a decision; `texts` are the same in words, in the same order. */
export function createRecommendations(caption) {
  const { node, body } = table(caption, [{ text: "policy" }, { text: "wants", number: true }, { text: "because" }]);
  const fill = (decision, texts) => {
    const lines = decision.recommendations.map((it, index) => ({
      ...it,
      index,
      won: index === decision.winner,
      because: becauseOf(it, texts[index] ?? ""),
    }));
    fillList(body, lines, {
      keyOf: ({ index, policy }) => `${index} ${policy}`,
      make: () => recommendationRow(),
      fill: fillRecommendation,
    });
  };
  return { node, fill };
}

function recommendationRow() {
  const made = row("policy", "number", "because");
  made.firstChild.append(element("span"), element("b", { class: "winner" }, "winner"));
  return made;
}

function fillRecommendation(line, { policy, desired, won, because }) {
  const [name, count, why] = line.children;
  setText(name.firstChild, words(policy));
  name.lastChild.hidden = !won;
  setText(count, desired === null ? NO_DATA : figure(desired, 0));
  setAttribute(count, "class", desired === null ? "number missing" : "number");
  setText(why, because);
  setAttribute(line, "class", won ? "won" : null);
}

/** The sentence without the policy's name and count, which have columns of their own. */
function becauseOf({ policy, desired }, text) {
  const start = [`${policy} wants ${desired ?? "no count"}`, policy].find((it) => text.startsWith(it)) ?? "";
  return text.slice(start.length).replace(/^[\s:,]+/, "");
}

/** The way from the winner's count over each guard to the desired count. */
export function createChain() {
  const node = element("ol", { class: "chain", "aria-label": "From the recommendation to the desired count" });
  const fill = (decision, clampTexts) => {
    const links = linksOf(decision, clampTexts).map((link, index) => ({ ...link, index }));
    fillList(node, links, {
      keyOf: ({ index, kind }) => `${index} ${kind}`,
      make: ({ kind }) => element("li", {}, element("span", { class: kind }, element("span"), " ", element("b"))),
      fill: ({ firstChild: link }, { name, count, title }) => {
        setText(link.firstChild, name);
        setText(link.lastChild, count);
        setAttribute(link, "title", title);
      },
    });
  };
  return { node, fill };
}

function linksOf(decision, clampTexts) {
  const winner = decision.recommendations[decision.winner];
  const first = winner
    ? { kind: "from", name: words(winner.policy), count: figure(winner.desired, 0), title: null }
    : { kind: "from", name: "no policy could tell", count: "", title: null };
  const guards = decision.clamps.map(({ guard, before, after }, index) => ({
    kind: "guard",
    name: words(guard),
    count: `${before} \u2192 ${after}`,
    title: clampTexts[index] ?? null,
  }));
  const none = { kind: "none", name: "no guard changed it", count: "", title: null };
  const last = { kind: "to", name: "desired", count: figure(decision.desired, 0), title: null };
  return [first, ...(guards.length > 0 ? guards : [none]), last];
}
