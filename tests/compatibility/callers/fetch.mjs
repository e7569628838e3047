// Node's fetch against a plain POST /predict. It is told and tells like callers/told.py.
const told = { asked: [], beyond: [], broken: [], versions: {}, hopeless: "", due: 0 };
const options = {};
for (let at = 3; at < process.argv.length; at += 2) options[process.argv[at].slice(2)] = process.argv[at + 1];
const count = Number(options.count);
const ROW = [5.1, 3.5, 1.4, 0.2];
const OTHER = [6.7, 3.0, 5.2, 2.3];

async function predict(url, rows, more = {}) {
  const body = more.body ?? JSON.stringify({ instances: rows });
  const headers = { "Content-Type": "application/json", ...more.headers };
  const answer = await fetch(`${url}/predict`, { method: "POST", body, headers, duplex: "half" });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
  const names = { setosa: 0, versicolor: 1, virginica: 2 }; // as some servers say it
  const predicted = JSON.parse(text).predictions.map((one) => names[one] ?? Number(one));
  return { predicted: JSON.stringify(predicted), headers: answer.headers };
}

async function holds(what, ask) {
  try {
    await ask(options.gateway);
    told.asked.push(what);
  } catch (error) {
    told.broken.push(`${what}: ${error} ${error.cause ?? ""}`);
  }
}

async function same(what, ask) {
  let expected;
  try {
    expected = await ask(options.direct);
  } catch (error) {
    told.beyond.push(what);
    return;
  }
  await holds(what, async (url) => {
    const got = await ask(url);
    if (got !== expected) throw new Error(`${got} and not ${expected}, as without the gateway`);
  });
}

function flowing(rows) {
  const bytes = new TextEncoder().encode(JSON.stringify({ instances: rows }));
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 500) controller.enqueue(bytes.slice(at, at + 500));
      controller.close();
    },
  });
}

const many = Array(100).fill(ROW);
await same("JSON", async (url) => (await predict(url, [ROW])).predicted);
await same("chunked upload", async (url) => (await predict(url, [], { body: flowing(many) })).predicted);
await same("body of 2 MB", async (url) => {
  const body = JSON.stringify({ instances: many }).slice(0, -1) + " ".repeat(2_000_000) + "}";
  return (await predict(url, [], { body })).predicted;
});
await same("gzip answer", async (url) => (await predict(url, many)).predicted);
await same("HEAD", async (url) => {
  const answer = await fetch(`${url}/ready`, { method: "HEAD" });
  return `${answer.status} ${(await answer.text()).length}`;
});
await holds("version named by header", async (url) => {
  const { headers } = await predict(url, [ROW], { headers: { "X-Model-Version": options.candidate } });
  if (headers.get("x-assignment") !== "forced") throw new Error("not forced");
});
await holds("50 at once", async (url) => {
  await Promise.all(Array.from({ length: 50 }, () => predict(url, [ROW])));
});
await holds("leaving", async (url) => {
  const leaving = new AbortController();
  const asked = fetch(`${url}/predict`, { method: "POST", body: "{}", signal: leaving.signal });
  leaving.abort();
  await asked.then(() => { throw new Error("it was answered"); }, () => undefined);
});
told.due = count;
await holds(`${count} x JSON`, async (url) => {
  for (let number = 0; number < count; number++) {
    const { predicted, headers } = await predict(url, [number % 3 === 0 ? OTHER : ROW]);
    if (predicted !== (number % 3 === 0 ? "[2]" : "[0]")) throw new Error(predicted);
    const version = headers.get("x-model-version");
    told.versions[version] = (told.versions[version] ?? 0) + 1;
  }
});
console.log(JSON.stringify(told));
