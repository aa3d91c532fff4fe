// One tier's last ticks, as /v1/history gives them and each tick of the stream adds to them.

/** As many points as the controller keeps for each tier. */
const MOST_POINTS = 7_200;
/** Ticks that may be missing before the charts show a gap. */
const GAP_TICKS = 5;
const SHORTEST_GAP_US = 3e6;
const DEFAULT_TICK_US = 1e6;

/** What a tick of the stream says of one tier, in the shape of a point of /v1/history. */
export function pointOf(tier, atUs) {
  const { supply, desired, reason } = tier.decision;
  return {
    at_us: atUs,
    requests_per_second: tier.requests_per_second,
    demand_replicas: tier.demand_replicas,
    ready: supply.ready,
    starting: supply.starting,
    draining: supply.draining,
    desired,
    queue_depth: tier.signals.queue_depth.fresh?.value ?? null,
    reason,
    changed: desired !== supply.ready + supply.starting,
  };
}

/** The direction of a point's decision: 1 grew, -1 shrank, 0 held. */
export const directionOf = (point) => Math.sign(point.desired - point.ready - point.starting);

export class History {
  #points = [];

  /** Takes in points in any order; those of a moment already known are the same. */
  merge(points) {
    const known = new Map(this.#points.map((point) => [point.at_us, point]));
    for (const point of points) known.set(point.at_us, point);
    this.#points = [...known.values()].sort((a, b) => a.at_us - b.at_us).slice(-MOST_POINTS);
  }

  /** Takes in the newest tick. */
  add(point) {
    const newest = this.#points.at(-1);
    if (newest && point.at_us <= newest.at_us) this.merge([point]);
    else this.#points.push(point);
    if (this.#points.length > MOST_POINTS) this.#points.shift();
  }

  /** The moment of the oldest point, null before the first. */
  oldestUs() {
    return this.#points[0]?.at_us ?? null;
  }

  /** The points not older than `fromUs`, the oldest first. */
  since(fromUs) {
    return this.#points.slice(firstFrom(this.#points, fromUs));
  }

  /** The usual time between two ticks: the median of the newest. */
  tickUs() {
    const newest = this.#points.slice(-12);
    const steps = newest.slice(1).map((point, index) => point.at_us - newest[index].at_us).sort((a, b) => a - b);
    return steps[Math.floor(steps.length / 2)] ?? DEFAULT_TICK_US;
  }

  /** Longer than this without a tick is a gap. */
  gapUs() {
    return Math.max(GAP_TICKS * this.tickUs(), SHORTEST_GAP_US);
  }
}

function firstFrom(points, fromUs) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].at_us < fromUs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The points as columns for a chart: seconds, then one column for each of `read`. Where ticks are missing for longer
 * than `gapUs`, a row of nulls breaks the lines.
 */
export function columns(points, gapUs, read) {
  const made = [[], ...read.map(() => [])];
  let before = null;
  for (const point of points) {
    if (before !== null && point.at_us - before > gapUs) addRow(made, before + 1, read.map(() => null));
    addRow(made, point.at_us, read.map((one) => one(point)));
    before = point.at_us;
  }
  return made;
}

function addRow(made, atUs, values) {
  made[0].push(atUs / 1e6);
  values.forEach((value, index) => made[index + 1].push(value));
}
