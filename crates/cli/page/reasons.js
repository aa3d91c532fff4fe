// The closed list of reasons, in the few kinds that a reader tells apart at a glance. Each kind has a sign and a word,
// so that color never carries the meaning alone.
import { words } from "./format.js";

/** By weight: of the ticks that share a block of the strip, the heaviest kind is shown. */
export const KINDS = [
  { name: "held", sign: "\u00b7", word: "held" },
  { name: "capped", sign: "=", word: "held at a maximum" },
  { name: "shrank", sign: "\u25bc", word: "shrank" },
  { name: "grew", sign: "\u25b2", word: "grew" },
  { name: "blind", sign: "?", word: "blind" },
  { name: "unachievable", sign: "!", word: "unachievable" },
];

const SPECIAL = {
  held_blind: "blind",
  held_at_maximum: "capped",
  held_at_shared_maximum: "capped",
  unachievable: "unachievable",
};

const BY_NAME = new Map(KINDS.map((kind, weight) => [kind.name, { ...kind, weight }]));

/** The kind of a reason code; its first word tells, save for the few that deserve a kind of their own. */
export function kindOf(reason) {
  return BY_NAME.get(SPECIAL[reason] ?? reason.split("_")[0]) ?? BY_NAME.get("held");
}

/** A reason code in words. */
export const reasonInWords = (reason) => words(reason);
