// The first page: exchanges the token for a session, and shows how fresh the mirror is.

const status = document.getElementById("status");
const signIn = document.getElementById("sign-in");

async function begin(token) {
  const answer = await fetch("api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  return answer.ok;
}

async function show() {
  const answer = await fetch("api/v1/status");
  const told = await answer.json();
  signIn.hidden = answer.status !== 401;
  if (!answer.ok) {
    status.textContent = told.detail;
  } else if (told.source === null) {
    status.textContent = "This database mirrors nothing yet. Run: runlineage sync";
  } else {
    status.textContent = `Mirror of ${told.source}; last full pass ${told.full_pass ?? "never"}.`;
  }
}

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  await begin(document.getElementById("token").value);
  await show();
});

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token !== null) {
  // The token must not stay in the address, the history or a bookmark.
  history.replaceState(null, "", location.pathname);
  await begin(token);
}
await show();
