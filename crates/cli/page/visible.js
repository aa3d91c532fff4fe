// A card that nobody sees is neither drawn nor kept up to date, so that a fleet of many tiers costs what is on screen.

const AHEAD = "300px";

/** Calls `onShow` whenever `node` comes (nearly) into view, and tells by `isVisible()` whether it is. */
export function watchVisible(node, onShow) {
  let visible = false;
  const take = (entries) => {
    const before = visible;
    visible = entries.at(-1).isIntersecting;
    if (visible && !before) onShow();
  };
  new IntersectionObserver(take, { rootMargin: AHEAD }).observe(node);
  return () => visible && !document.hidden;
}
