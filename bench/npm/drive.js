// Drives dynamodb-stream-elasticsearch as its README does, in bulk mode: one event a line in, what it cost a line out.
const readline = require('readline')
const { pushStream } = require('dynamodb-stream-elasticsearch')

const [endpoint, index] = process.argv.slice(2)

async function handled (line) {
  const cpu = process.cpuUsage()
  const started = process.hrtime.bigint()
  const event = JSON.parse(line)
  await pushStream({ event, endpoint, index, useBulk: true })
  const wall = Number(process.hrtime.bigint() - started) / 1e6
  const { user, system } = process.cpuUsage(cpu)
  return { wall, cpu: (user + system) / 1e3 }
}

async function main () {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const answer = await handled(line).catch((error) => ({ error: String(error) }))
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
}

main()
