// What the server has told, put together from one whole and the changes since.

const SAMPLES = 600, EVENTS = 400;

export const state = {
  whole: false, backends: new Map(), samples: [], events: [], crashes: [], proxies: [], scalers: [], faults: [],
  numbers: {}, verdict: null, trouble: "", offset: 0,
};

// Seconds since 1970 by the server's clock.
export const now = () => Date.now() / 1000 + state.offset;

// Takes a message in; returns the names of what changed, and which backends did.
export function take(kind, news) {
  const touched = new Set(Object.keys(news));
  let backends = new Set();
  if (kind === "whole") {
    state.whole = true;
    const gone = [...state.backends.keys()].filter((name) => !(name in (news.backends ?? {})));
    state.backends = new Map(Object.entries(news.backends ?? {}));
    backends = new Set([...gone, ...state.backends.keys()]);
    Object.assign(state, news, { backends: state.backends });
  } else {
    const { backends: changed = {}, numbers = {}, sample, events = [], ...others } = news;
    for (const [name, entry] of Object.entries(changed)) {
      backends.add(name);
      if (entry === null) state.backends.delete(name);
      else if (Array.isArray(entry)) state.backends.set(name, entry);
      else state.backends.get(name)[0] = entry;
    }
    Object.assign(state.numbers, numbers);
    Object.assign(state, others);
    if (sample) state.samples = [...state.samples, sample].slice(-SAMPLES);
    if (events.length) state.events = [...state.events, ...events].slice(-EVENTS);
  }
  if ("now" in news) state.offset = news.now - Date.now() / 1000;
  return { touched, backends };
}
