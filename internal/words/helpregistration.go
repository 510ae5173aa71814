package words

// helpRegistration is the help of register and unregister.
var helpRegistration = []helpEntry{
	{
		"Let applications find the PKCS#11 module",
		"Қолданбаларға PKCS#11 модулін көрсету",
		"Сообщить приложениям о модуле PKCS#11",
	},
	{
		"Enter the PKCS#11 module in the lists of this user's applications: that of p11-kit, and the certificate databases of Firefox, Thunderbird and Chromium. The module is found where it was installed; what else is in a list stays. An application sees it when it is started again; those in a sandbox (snap, Flatpak) cannot load it.",
		"PKCS#11 модулін осы пайдаланушы қолданбаларының тізімдеріне енгізеді: p11-kit тізіміне және Firefox, Thunderbird, Chromium сертификат қорларына. Модуль орнатылған жерінен табылады; тізімдегі қалғанының бәрі сақталады. Қолданба оны қайта іске қосылғанда көреді; оқшауланған (snap, Flatpak) қолданбалар оны жүктей алмайды.",
		"Вносит модуль PKCS#11 в списки приложений этого пользователя: в список p11-kit и в базы сертификатов Firefox, Thunderbird и Chromium. Модуль берётся оттуда, куда он установлен; всё остальное в списке сохраняется. Приложение увидит его после перезапуска; приложения в песочнице (snap, Flatpak) загрузить его не могут.",
	},
	{
		"With --list, show where it is registered and change nothing.",
		"--list көрсетілсе, модульдің қайда тіркелгенін көрсетеді, ештеңені өзгертпейді.",
		"С --list показывает, где он зарегистрирован, и ничего не меняет.",
	},
	{
		"--json prints an array of objects with the keys\n  kind (p11-kit, nss), program, path, module (empty if none is registered),\n  changed, error",
		"--json мынадай кілттері бар нысандар жиымын шығарады:\n  kind (p11-kit, nss), program, path, module (тіркелмесе, бос),\n  changed, error",
		"--json выводит массив объектов с ключами\n  kind (p11-kit, nss), program, path, module (пусто, если не зарегистрирован),\n  changed, error",
	},
	{
		"certificate database of NSS in `FOLDER`, in place of those that are found; may be repeated",
		"табылғандардың орнына `FOLDER` ішіндегі NSS сертификат қоры; бірнеше рет беруге болады",
		"база сертификатов NSS в каталоге `FOLDER` вместо найденных; можно повторять",
	},
	{"`FILE` of the module, if it is elsewhere", "модульдің файлы `FILE`, егер ол басқа жерде болса", "файл модуля `FILE`, если он в другом месте"},
	{"show where the module is registered", "модульдің қайда тіркелгенін көрсету", "показать, где зарегистрирован модуль"},
	{
		"Take the PKCS#11 module out of applications",
		"PKCS#11 модулін қолданбалардан алып тастау",
		"Убрать модуль PKCS#11 из приложений",
	},
	{
		"Take the PKCS#11 module out of the lists of this user's applications again: what kaztoken register entered, and what was entered by hand under the same name or of the same file.",
		"PKCS#11 модулін осы пайдаланушы қолданбаларының тізімдерінен алып тастайды: kaztoken register енгізгенді және сол атпен немесе сол файлмен қолдан енгізілгенді.",
		"Убирает модуль PKCS#11 из списков приложений этого пользователя: то, что внесла команда kaztoken register, и то, что внесено вручную под тем же именем или с тем же файлом.",
	},
	{
		"--json prints the same array as kaztoken register.",
		"--json kaztoken register шығаратын жиымды шығарады.",
		"--json выводит тот же массив, что и kaztoken register.",
	},
}
