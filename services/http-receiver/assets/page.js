"use strict";

for (const form of document.querySelectorAll("form[data-path]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = form.querySelector("output");
    const headers = { "Content-Type": form.elements.type.value };
    if (form.elements.guid.value) headers["Idempotency-Key"] = form.elements.guid.value;
    if (form.elements.token?.value) headers.Authorization = `Bearer ${form.elements.token.value}`;
    output.className = "";
    output.textContent = "Sending …";
    try {
      const path = form.dataset.path.replace(/^\//, "") || "./";
      const response = await fetch(path, { method: "POST", headers, body: form.elements.body.value });
      const text = await response.text();
      let shown = text;
      try {
        shown = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // Not JSON: something in between answered.
      }
      output.className = response.ok ? "good" : "bad";
      output.textContent = `${response.status} ${response.statusText}\n${shown}`;
    } catch (error) {
      output.className = "bad";
      output.textContent = `No answer: ${error}`;
    }
  });
}
