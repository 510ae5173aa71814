package words

// service is what the PC/SC service and those who ask for it have to say.
var service = []entry{
	{
		"error.served", "бұл сокетте басқа қызмет жұмыс істеп тұр",
		"на этом сокете уже работает другая служба", "another service has this socket",
	},
	{
		"error.noservice", "смарт-карта қызметінен жауап жоқ",
		"служба смарт-карт не отвечает", "no smart-card service tells its status",
	},
	{"error.activation", "қызмет менеджері берген сокет жарамайды", "сокет от диспетчера служб не подходит", "the service manager's socket cannot be used"},
	{
		"status.part", "басқа пайдаланушылардың бағдарламалары көрсетілмейді; оларды көру үшін: {command}",
		"программы других пользователей не показаны; чтобы увидеть их: {command}",
		"programs of other users are not shown; to see them: {command}",
	},
	{
		"hint.serve", "іске қосыңыз: {command}; басқа сокет болса: {option}",
		"запустите её: {command}; если сокет другой: {option}", "start it: {command}; if it has another socket: {option}",
	},
	{
		"hint.root", "әкімші құқығымен іске қосыңыз немесе басқа сокет таңдаңыз: {option}",
		"запустите от имени суперпользователя или выберите другой сокет: {option}",
		"run it as root, or choose another socket: {option}",
	},
	{
		"hint.socket", "сол қызметті тоқтатыңыз немесе басқа сокет таңдаңыз: {option}",
		"остановите ту службу или выберите другой сокет: {option}", "stop that service, or choose another socket: {option}",
	},
	{
		"hint.served", "сол қызметті тоқтатыңыз: {command}; немесе басқа сокет таңдаңыз: {option}",
		"остановите ту службу: {command}; или выберите другой сокет: {option}",
		"stop that service: {command}; or choose another socket: {option}",
	},
}
