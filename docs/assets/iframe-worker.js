// Browsers refuse workers to a page that was opened from a disk. There, the search runs in a hidden
// frame instead: a class with the part of the interface of Worker that the theme uses.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      const load = (script) =>
        new Promise((done, failed) => {
          const element = frame.contentDocument.createElement("script");
          element.src = new URL(script, document.baseURI);
          element.onload = done;
          element.onerror = failed;
          frame.contentDocument.body.append(element);
        });
      inside.importScripts = (...scripts) =>
        scripts.reduce((before, script) => before.then(() => load(script)), Promise.resolve());
      // The worker answers with postMessage(data), which in a frame would need an origin.
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = inside.importScripts(address);
      this.inside = inside;
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.inside.frameElement.remove();
    }
  };
}
