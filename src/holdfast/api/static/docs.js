// Shows the service's description as forms. What is typed into the field goes with each request, to this
// server only, and is forgotten with the tab.
"use strict";

const KEPT = "holdfast-credential";
const field = document.getElementById("key");
const told = document.getElementById("told");

function withCredential(request) {
  const given = field.value.trim();
  if (given && new URL(request.url, location.href).origin === location.origin) {
    if (given.startsWith("hf_")) request.headers["X-API-Key"] = given;
    else request.headers["Authorization"] = `Bearer ${given}`;
  }
  return request;
}

async function show() {
  const asked = withCredential({ url: "/openapi.json", headers: {} });
  let answered;
  try {
    answered = await fetch(asked.url, { headers: asked.headers });
  } catch {
    told.value = "The server does not answer.";
    return;
  }
  if (!answered.ok) {
    const problem = await answered.json().catch(() => ({}));
    const makeOne = "Make a key: holdfast keys create --role scorer --name NAME";
    told.value = `${problem.detail || answered.statusText} ${answered.status === 401 ? makeOne : problem.hint || ""}`;
    document.getElementById("swagger-ui").replaceChildren();
    return;
  }
  told.value = "";
  SwaggerUIBundle({
    spec: await answered.json(),
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    defaultModelRendering: "example",
    validatorUrl: null,
    requestInterceptor: withCredential,
  });
}

document.getElementById("credential").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, field.value.trim());
  show();
});
document.getElementById("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEPT);
  field.value = "";
  show();
});
field.value = sessionStorage.getItem(KEPT) || "";
show();
