// A reading of the API is `{fresh: {value, at}}`, `{at_least: {value, at}}`, `{stale: {value, at}}` or `{missing: {cause}}`. This tells them apart
// once, so that nobody else can take a missing one for a zero.
import { NO_DATA, causeInWords, span } from "./format.js";

/** The value that may be decided by, or null. */
export const freshValue = (reading) => reading?.fresh?.value ?? null;

/** A reading as `{kind, text, note}`: its value in words by `show`, and what is to be known of its age or absence. */
export function inWords(reading, now, show) {
  if (reading?.fresh) return { kind: "fresh", text: show(reading.fresh.value), note: null };
  if (reading?.at_least) {
    return { kind: "stale", text: `≥ ${show(reading.at_least.value)}`, note: causeInWords("lower_bound") };
  }
  if (reading?.stale) {
    const age = span(Math.max(0, now - reading.stale.at));
    return { kind: "stale", text: show(reading.stale.value), note: `stale, ${age} old` };
  }
  return { kind: "missing", text: NO_DATA, note: causeInWords(reading?.missing?.cause ?? "not_configured") };
}
