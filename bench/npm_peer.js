// dynamodb-stream-elasticsearch in bulk mode: a line with a batch in, a line with its milliseconds out.
// Spared what it does by default and is slow: `refresh` after each request, and a connection for each request.
const readline = require('readline')
const { pushStream } = require('dynamodb-stream-elasticsearch')

const lines = readline.createInterface({ input: process.stdin })

const handle = async (line) => {
  const { event, endpoint, index } = JSON.parse(line)
  const began = process.hrtime.bigint()
  const before = process.cpuUsage()
  let error = ''
  try {
    await pushStream({ event, endpoint, index, useBulk: true, refresh: false, keepAlive: true })
  } catch (thrown) {
    error = String(thrown.message || thrown).slice(0, 200)
  }
  const cpu = process.cpuUsage(before)
  const wall = Number(process.hrtime.bigint() - began) / 1e6
  process.stdout.write(JSON.stringify({ wall, cpu: (cpu.user + cpu.system) / 1e3, error }) + '\n')
}

const run = async () => { for await (const line of lines) await handle(line) }
run()
