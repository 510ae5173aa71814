package words

// tracing is what kaztoken trace says beside what it prints.
var tracing = []entry{
	{
		"error.recording", "бұл файл USB жазбасы емес немесе ол бүлінген",
		"этот файл не запись USB, или он повреждён", "the file is no recording of USB, or it is damaged",
	},
	{
		"trace.clear", "Жазбада ПИН кодтар мен кілттер АШЫҚ КҮЙІНДЕ болады. Оны алған адам токенді пайдалана алады. Жалғастыру керек пе?",
		"В записи будут PIN-коды и ключи В ОТКРЫТОМ ВИДЕ. Кто получит её, сможет пользоваться токеном. Продолжить?",
		"The recording will hold PINs and keys IN CLEAR. Whoever gets it can use the token. Go on?",
	},
	{
		"hint.trace.clear", "бұл үшін терминалда жауап беру керек; {option} жоқ болса, олар жасырылады",
		"для этого нужно ответить на терминале; без {option} они будут скрыты",
		"this has to be answered on a terminal; without {option} they are hidden",
	},
	{
		"trace.recorded", "жазылды: {file}, пакеттер: {n}",
		"записано: {file}, пакетов: {n}", "recorded {file}: {n} {n|packet|packets}",
	},
	{
		"trace.nothing", "ештеңе жазылмады: пәрмен USB арқылы ешқандай токенмен сөйлескен жоқ. Токен смарт-карта қызметінде болса, {option} қосыңыз немесе сол қызметтің өзін жазыңыз",
		"ничего не записано: команда не обращалась к токену по USB. Если токен у службы смарт-карт, добавьте {option} или запишите саму службу",
		"nothing was recorded: the command talked to no token over USB. If a smart-card service has the token, add {option}, or record the service",
	},
	{
		"trace.lost", "дискі үлгермегендіктен жазылмаған пакеттер: {n}",
		"не записано пакетов, потому что диск не успевал: {n}", "{n} {n|packet was|packets were} left out, the disk being too slow",
	},
	{"trace.broken", "жазба толық емес", "запись неполная", "the recording is not whole"},
	{
		"trace.cut", "жазба үзілген: оның соңы жоқ, алдыңғысы толық",
		"запись обрывается: конца нет, всё до него цело", "the recording is cut off; what comes before is whole",
	},
	{
		"trace.empty", "файлда смарт-карта оқу құрылғысы жоқ",
		"в файле нет устройств чтения смарт-карт", "there is no smart-card reader in the file",
	},
	{
		"trace.same", "қайталау жазбамен бірдей: хабарлар {sent}, жауаптар {answered}",
		"повтор совпал с записью: сообщений {sent}, ответов {answered}",
		"the replay is the same as the recording: {sent} {sent|message|messages}, {answered} {answered|answer|answers}",
	},
	{
		"error.replay", "қайталау жазбадан өзгеше: айырмашылықтар {n}",
		"повтор отличается от записи: различий {n}", "the replay differs from the recording in {n} {n|place|places}",
	},
	{
		"error.norepeat", "бұл жазбаны қайталау мүмкін емес",
		"эту запись повторить нельзя", "this recording cannot be replayed",
	},
}
