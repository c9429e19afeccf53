// A browser starts no worker for a page that is read from a folder, and the search of the site is one. There, and only
// there, the same script runs in a hidden frame, and messages go to and fro as a worker's do.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.ready = new Promise((resolve) => {
        frame.contentWindow.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        frame.contentWindow.begin = () => resolve(frame.contentWindow);
        frame.contentDocument.write(
          `<script>window.postMessage = answer; window.importScripts = () => Promise.resolve();</script>` +
          `<script src="${new URL(url, location.href)}" onload="begin()"></script>`
        );
        frame.contentDocument.close();
      });
    }
    postMessage(data) {
      this.ready.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
    terminate() {}
  };
}
