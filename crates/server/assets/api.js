// Shows the description of the API: each operation with its parameters and answers.

const operations = document.getElementById("operations");

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function table(header, rows) {
  const made = document.createElement("table");
  for (const [cells, kind] of [[header, "th"], ...rows.map((row) => [row, "td"])]) {
    const line = made.insertRow();
    line.append(...cells.map((cell) => element(kind, cell)));
  }
  return made;
}

const described = await (await fetch("api/v1/openapi.json")).json();
for (const [path, methods] of Object.entries(described.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    operations.append(element("h2", `${method.toUpperCase()} ${path}`));
    operations.append(element("p", operation.summary ?? ""));
    const parameters = (operation.parameters ?? []).map((parameter) => [
      parameter.name + (parameter.required ? " (required)" : ""),
      parameter.description ?? "",
    ]);
    if (parameters.length > 0) {
      operations.append(table(["parameter", "meaning"], parameters));
    }
    const answers = Object.entries(operation.responses).map(([status, answer]) => [
      status,
      answer.description,
      Object.keys(answer.content ?? {}).join(", "),
    ]);
    operations.append(table(["status", "meaning", "formats"], answers));
  }
}
