// The stream of views, and how far it can be believed. A browser reopens a broken stream by itself, but not one that
// was refused, and it cannot see that a connection went silent; both are seen to here.

const TRY_AGAIN_MS = 2_000;
const TRY_AGAIN_AT_MOST_MS = 15_000;
/** The controller sends a comment every 15 s at least, so a stream silent for longer than this is opened anew. */
const SILENT_MS = 45_000;
/** As /healthz judges: ten ticks without a new one. */
const OLD_TICKS = 10;
const OLD_AT_LEAST_MS = 5_000;

/**
 * Follows `url`. `onView(view)` is called for each view, `onOpen()` whenever a stream begins, `onTrust({lost, silentMs})`
 * each second: `lost` while there is no stream, `silentMs` since the newest tick came, null before the first.
 */
export class ViewStream {
  #url;
  #calls;
  #source = null;
  #lost = true;
  #cameAt = null;
  #openedAt = 0;
  #newestUs = null;
  #wait = TRY_AGAIN_MS;

  constructor(url, calls) {
    this.#url = url;
    this.#calls = calls;
    this.#open();
    setInterval(() => this.#watch(), 1_000);
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#openedAt = performance.now();
    source.addEventListener("open", () => {
      this.#lost = false;
      this.#wait = TRY_AGAIN_MS;
      this.#calls.onOpen();
    });
    source.addEventListener("state", (event) => this.#take(JSON.parse(event.data)));
    source.addEventListener("error", () => this.#failed(source));
  }

  #take(view) {
    // A stream that begins again starts with the view that stands; only a newer one shows that the loop lives.
    if (view.at_us !== this.#newestUs) this.#cameAt = performance.now();
    this.#newestUs = view.at_us;
    this.#calls.onView(view);
    this.#tell();
  }

  #failed(source) {
    this.#lost = true;
    this.#tell();
    if (source.readyState !== EventSource.CLOSED || source !== this.#source) return;
    setTimeout(() => this.#open(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, TRY_AGAIN_AT_MOST_MS);
  }

  #watch() {
    const now = performance.now();
    const quietSince = Math.max(this.#cameAt ?? 0, this.#openedAt);
    if (this.#source.readyState === EventSource.OPEN && now - quietSince > SILENT_MS) this.#open();
    this.#tell();
  }

  #tell() {
    const silentMs = this.#cameAt === null ? null : performance.now() - this.#cameAt;
    this.#calls.onTrust({ lost: this.#lost, silentMs });
  }
}

/** Whether the newest tick is too old to be believed. */
export const isOld = (silentMs, tickUs) => silentMs > Math.max((OLD_TICKS * tickUs) / 1e3, OLD_AT_LEAST_MS);
