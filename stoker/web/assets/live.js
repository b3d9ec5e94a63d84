// The stream of news: opened again whenever it ends, and whenever it falls silent.

const SILENT_MS = 6000;
const RETRY_MS = [500, 1000, 2000, 3000];

// `heard(kind, content)` takes each message, `changed(lost)` is told when the stream is lost and when it is back.
export function listen(heard, changed) {
  let source = null, timer = 0, watchdog = 0, tries = 0, lost = false;

  function open() {
    clearTimeout(timer);
    source = new EventSource("/live");
    for (const kind of ["whole", "change"]) {
      source.addEventListener(kind, (message) => {
        watch();
        tries = 0;
        heard(kind, JSON.parse(message.data));
        if (lost) changed(lost = false);
      });
    }
    source.onerror = again;
    watch();
  }

  function watch() {
    clearTimeout(watchdog);
    watchdog = setTimeout(again, SILENT_MS);
  }

  function again() {
    source.close();
    clearTimeout(watchdog);
    clearTimeout(timer);
    if (!lost) changed(lost = true);
    timer = setTimeout(open, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
  }

  // A machine that slept need not wait for the next try.
  addEventListener("online", () => lost && open());
  open();
}
