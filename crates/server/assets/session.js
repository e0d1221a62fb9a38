// The token: from the address that `runlineage serve` prints, or typed.

import { signIn } from "./ask.js";
import { button, make } from "./dom.js";
import { notice } from "./notice.js";

/** Exchanges the token in the address, if there is one, for a session. */
export async function beginSession() {
  const params = new URLSearchParams(location.hash.slice(1));
  const token = params.get("token");
  if (token === null) return;
  params.delete("token");
  // The token must not stay in the address, the history or a bookmark.
  history.replaceState(null, "", params.size > 0 ? `#${params}` : location.pathname);
  // A token that is wrong shows when the first question is refused.
  await signIn(token).catch(() => {});
}

/** Asks for a token, then calls `done`. */
export function showSignIn(main, done) {
  const input = make("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const failed = make("div", { role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await signIn(input.value.trim());
      done();
    } catch (error) {
      failed.replaceChildren(notice(error.status === 401 ? "This token is not known here." : error.message));
    }
  };
  main.replaceChildren(make("form", { class: "card sign-in", onsubmit: submit },
    make("h2", {}, "This server needs a token"),
    make("p", {}, "Open the address that ", make("code", {}, "runlineage serve"), " printed, or enter a token."),
    make("label", { for: "token" }, "Token"), input, button("Sign in", undefined, { type: "submit" }), failed));
  input.focus();
}
