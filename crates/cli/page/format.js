// Figures and times as text. What is not known is said in words and never turns into a zero.

export const NO_DATA = "no data";

const CAUSES = {
  not_configured: "no source is set up for it",
  unreachable: "the source does not answer",
  timed_out: "the source took too long",
  refused: "the source refuses",
  malformed: "the source's answer cannot be read",
  not_a_number: "it is not a number",
  first_reading: "a rate needs a second reading",
  counter_reset: "it was counted anew",
  partial: "some replicas did not report",
  lower_bound: "not all is counted while an earlier gateway still ends its answers",
  no_replica: "there is no ready replica to measure",
  no_request: "no request ended",
  contradicted: "another signal contradicts it",
  future_dated: "it is dated in the future",
  stale: "it is too old",
};

/** Why a reading is missing, in words. */
export const causeInWords = (cause) => CAUSES[cause] ?? words(cause);

/** An identifier of the API as words. */
export const words = (identifier) => String(identifier).replaceAll("_", " ");

/** A number with at most so many decimals, or that there is none. */
export function figure(value, decimals = 2) {
  if (!isKnown(value)) return NO_DATA;
  return value.toLocaleString("en-US", { maximumFractionDigits: decimals, minimumFractionDigits: 0 });
}

/** A number with exactly so many decimals, for columns and for figures that change in place. */
export function fixed(value, decimals) {
  if (!isKnown(value)) return NO_DATA;
  return value.toLocaleString("en-US", { maximumFractionDigits: decimals, minimumFractionDigits: decimals });
}

/** A share from 0 to 1 in percent. A share just below the whole is not rounded up to it. */
export function percent(share, decimals = 1) {
  if (!isKnown(share)) return NO_DATA;
  const unit = 10 ** decimals;
  const shown = share < 1 ? Math.min(Math.round(share * 100 * unit), 100 * unit - 1) / unit : share * 100;
  return `${fixed(shown, decimals)} %`;
}

export const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

/** A length of time given in microseconds, in the unit that suits it. */
export function span(micros) {
  if (!isKnown(micros)) return NO_DATA;
  if (micros === 0) return "0 s";
  const millis = micros / 1e3;
  if (millis < 1) return `${figure(micros, 0)} us`;
  if (millis < 1_000) return `${figure(millis, millis < 100 ? 1 : 0)} ms`;
  const seconds = micros / 1e6;
  if (seconds < 120) return `${figure(seconds, seconds < 10 ? 2 : 0)} s`;
  if (seconds < 7_200) return parts(seconds, 60, "min", "s");
  if (seconds < 172_800) return parts(seconds / 60, 60, "h", "min");
  return parts(seconds / 3_600, 24, "d", "h");
}

function parts(total, base, large, small) {
  const whole = Math.round(total);
  const rest = whole % base;
  const front = `${Math.floor(whole / base)} ${large}`;
  return rest === 0 ? front : `${front} ${rest} ${small}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const CLOCK_SHORT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** A moment, in microseconds since 1970, as the reader's time of day. */
export const timeOfDay = (micros) => CLOCK.format(micros / 1e3);

/** The same without seconds, for axes. */
export const hourAndMinute = (micros) => CLOCK_SHORT.format(micros / 1e3);

/** A moment with its day when that is not the day of `now`. */
export function moment(micros, now) {
  const day = DAY.format(micros / 1e3);
  return day === DAY.format(now / 1e3) ? timeOfDay(micros) : `${day} ${timeOfDay(micros)}`;
}

/** A moment in full, UTC, for titles. */
export const fullMoment = (micros) => new Date(micros / 1e3).toISOString();

/** The name of a latency metric. */
export function latencyName(metric) {
  return { ttft: "TTFT", tpot: "TPOT", itl: "ITL", e2e: "end to end", queue_time: "queue time" }[metric] ?? words(metric);
}

/** An objective as a reader would write it: 'p95 TPOT <= 16 ms'. */
export const objectiveName = ({ metric, quantile, bound }) =>
  `p${figure(quantile * 100, 3)} ${latencyName(metric)} \u2264 ${span(bound)}`;

/** '1 replica', '3 replicas'. */
export const counted = (count, one) => `${figure(count, 0)} ${one}${count === 1 ? "" : "s"}`;
