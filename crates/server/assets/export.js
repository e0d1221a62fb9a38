// Files of what is seen. Small ones are fetched first, so that an error is shown and not saved.

import { file } from "./ask.js";
import { make } from "./dom.js";
import { notice } from "./notice.js";

/** A menu of files: their titles, addresses and names. */
export function downloads(title, files) {
  const links = files.map(([text, from, name]) => make("li", {}, make("a", { href: from, download: name }, text)));
  return make("details", { class: "menu" }, make("summary", {}, title), make("ul", {}, links));
}

/** As `downloads`, for files that the server may refuse to make, such as a picture that is too large. */
export function checkedDownloads(title, files) {
  const menu = downloads(title, files);
  for (const link of menu.querySelectorAll("a")) {
    link.addEventListener("click", (event) => {
      if (link.href.startsWith("blob:")) return;
      event.preventDefault();
      save(link).catch((error) => menu.append(notice(error.message)));
    });
  }
  return menu;
}

async function save(link) {
  const url = URL.createObjectURL(await file(link.href));
  const saved = make("a", { href: url, download: link.download });
  saved.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
